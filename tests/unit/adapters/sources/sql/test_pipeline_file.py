"""SQL sources and how their streams are read, as pipeline files have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.sources.sql.reading import Detect, Reading, reading_of
from entrypoints.pipeline_file import PipelineFile, load_pipeline
from entrypoints.settings import Settings
from pipeline.domain.errors import ConfigError

URL = "postgresql://app:swordfish@db.example.com/crm"

FILE = """
source:
  kind: sql
  url: ${CRM_URL}
  schema: sales
  poll: 30s
  connect_args: {sslmode: verify-full}
streams:
  orders:
    read: {cursor: [updated_at, id], overlap: 10m, lag: 5s, key: id, deletes: diff, every: 1h, max_vanished: 0.1}
  totals:
    read: {query: SELECT 1 AS id, key: id, detect: refresh}
"""


def load(folder: Path, text: str) -> PipelineFile:
    config = folder / "config"
    (config / "pipelines").mkdir(parents=True)
    (config / "pipelines" / "crm.yaml").write_text(text)
    settings = Settings(
        env="development",
        home=folder,
        config_dir=config,
        warehouse={"kind": "duckdb", "path": "var/{pipeline}.duckdb"},
        transform={"kind": "dbt", "project": "dbt"},
        batch={},
    )
    return load_pipeline("crm", settings, environment={"CRM_URL": URL})


def test_a_file_says_how_each_stream_is_read(tmp_path: Path) -> None:
    file = load(tmp_path, FILE)

    assert [group.group for group in file.groups] == ["crm__orders", "crm__totals"]
    assert file.spec.source.options == {
        "url": URL,
        "schema": "sales",
        "poll_s": 30.0,
        "connect_args": {"sslmode": "verify-full"},
    }
    assert [reading_of(spec) for group in file.groups for spec in group.streams.values()] == [
        Reading(
            "orders",
            detect=Detect.CURSOR,
            cursor=("updated_at", "id"),
            overlap=600.0,
            lag_s=5.0,
            key=("id",),
            finds_deletes=True,
            every_s=3600.0,
            max_vanished=0.1,
        ),
        Reading("totals", query="SELECT 1 AS id", detect=Detect.REFRESH, key=("id",)),
    ]
    assert "swordfish" not in repr(file)


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(
            tmp_path,
            "source: {kind: sql, pol: 5s}\n"
            "streams: {orders: {read: {detect: curser, lag: soon, deletes: yes, curser: at}}}\n",
        )
    keys = sorted(problem["key"] for problem in refused.value.facts["problems"])  # type: ignore[attr-defined] # any type
    assert keys == [
        "source.pol",
        "source.url",
        "streams.orders.read.curser",
        "streams.orders.read.deletes",
        "streams.orders.read.detect",
        "streams.orders.read.lag",
    ]
