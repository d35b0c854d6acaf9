"""A pipeline file that names the example's kind runs from its server into DuckDB, once the kind has its line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog

from entrypoints import registry, schema_check
from entrypoints.container import detector_of, opened_groups
from entrypoints.pipeline_file import PipelineFile, load_pipeline
from entrypoints.settings import load_settings
from pipeline.application.sync import SyncResult, sync
from pipeline.application.verify import verify
from pipeline.domain.errors import ConfigError, SourceRejected
from pipeline.ports.warehouse import target_of
from tests.support import example_source
from tests.support.memo_server import MemoServer

pytestmark = pytest.mark.integration

FILE = """
source:
  kind: memo
  name: memos
  host: 127.0.0.1
  port: {port}
  poll: 100ms
warehouse: {{kind: duckdb, path: {path}}}
streams:
  orders:
    read: {{page: 7}}
  items: {{mode: history}}
"""


@pytest.fixture
def server() -> Iterator[MemoServer]:
    with MemoServer() as running:
        running.shelves["items"], running.versions["items"] = {}, 0
        for number in range(1, 31):
            running.put("orders", number, f"order {number}")
        running.put("items", 1, "item")
        yield running


@pytest.fixture
def file(server: MemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PipelineFile:
    """The line in the registry, the schema beside the others, and a pipeline file."""
    monkeypatch.setitem(registry.SOURCES, "memo", registry.Kind("tests.support.example_source"))
    schemas = tmp_path / "schemas"
    shutil.copytree(Path(schema_check.__file__).parent / "schemas", schemas)
    shutil.copy(Path(example_source.__file__).parent / "memo.schema.json", schemas)
    monkeypatch.setattr(schema_check, "resources", SimpleNamespace(files=lambda _: schemas))
    path = tmp_path / "memos.yaml"
    path.write_text(FILE.format(port=server.port, path=tmp_path / "memos.duckdb"), encoding="utf-8")
    return load_pipeline(str(path), load_settings(environment={}), environment={})


def run(file: PipelineFile) -> dict[str, SyncResult]:
    """One bounded run of each group."""
    with opened_groups(file.groups, logger=structlog.get_logger()) as sessions:
        return {session.group: sync(session) for session in sessions}


def staged(file: PipelineFile) -> dict[str, dict[int, str]]:
    """What the staging tables show."""
    with opened_groups(file.groups, logger=structlog.get_logger()) as sessions:
        found = {}
        for session in sessions:
            [(stream, state)] = session.warehouse.states(session.group).items()
            rows = session.warehouse.current(target_of(state)).to_pylist()
            found[stream] = {row["id"]: row["note"] for row in rows}
            assert verify(session).is_equal
        return found


def test_a_run_loads_what_is_there_and_later_ones_what_changed(file: PipelineFile, server: MemoServer) -> None:
    assert set(run(file)) == {"memos__orders", "memos__items"}
    assert staged(file) == server.shelves

    server.put("orders", 3, "changed")
    server.put("orders", 99, "new")
    server.remove("orders", 7)
    server.put("items", 1, "another")
    results = run(file)
    assert {group: result.counts.popitem()[1].read_count for group, result in results.items()} == {
        "memos__orders": 3,
        "memos__items": 1,
    }
    assert staged(file) == server.shelves

    assert [result.counts for result in run(file).values()] == [{}, {}]


def test_a_shelf_that_is_emptied_by_a_fault_empties_no_table(file: PipelineFile, server: MemoServer) -> None:
    run(file)
    before = dict(server.shelves["orders"])
    for number in range(1, 31):
        server.remove("orders", number)
    with opened_groups(file.groups, logger=structlog.get_logger()) as [orders, _]:
        with pytest.raises(SourceRejected, match="stream orders: 30 of 30 rows are gone"):
            sync(orders)
        state = orders.warehouse.states(orders.group)["orders"]
        assert {row["id"]: row["note"] for row in orders.warehouse.current(target_of(state)).to_pylist()} == before
        sync(orders, resync=["orders"])
    assert staged(file)["orders"] == {}


def test_a_detector_sees_changes(file: PipelineFile, server: MemoServer) -> None:
    orders = file.groups[0]
    detector = detector_of(orders)
    first = detector.look(tuple(orders.streams.values()))
    assert not detector.look(tuple(orders.streams.values()), since=first.mark).has_changes
    server.put("orders", 1, "changed")
    assert detector.look(tuple(orders.streams.values()), since=first.mark).has_changes
    detector.close()


def test_what_the_schema_does_not_allow_is_refused(file: PipelineFile) -> None:
    file.path.write_text(file.path.read_text(encoding="utf-8").replace("page: 7", "pages: 7"), encoding="utf-8")
    with pytest.raises(ConfigError, match="pages"):
        load_pipeline(str(file.path), load_settings(environment={}), environment={})
