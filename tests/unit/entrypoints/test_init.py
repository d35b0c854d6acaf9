"""The pipeline file that ``init`` writes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from entrypoints.cli.init import pipeline_text, source_section, stream_names
from entrypoints.pipeline_file import load_pipeline
from entrypoints.settings import Settings
from pipeline.domain.errors import ConfigError
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from pipeline.ports.source import Relation

KEYED = StreamSchema((Column("id", pa.int64()),), key=("id",))
KEYLESS = StreamSchema((Column("note", pa.string()),))

RELATIONS = (
    Relation("audit.events", "table", KEYLESS, estimated_count=7),
    Relation("public.Order Lines", "table", KEYED),
    Relation("public.customers", "table", KEYED, estimated_count=30_000),
    Relation("public.totals", "view", KEYLESS, reason="public.totals is a view\nand has no log"),
    Relation("sales.customers", "table", KEYED),
)

TEXT = """\
description: crm, written from what its source has.

source:
  kind: postgres
  dsn: ${CRM_DSN}

warehouse:
  kind: duckdb
  path: var/crm.duckdb

streams:
  events:  # no key: every change is kept as a row, about 7 rows
    relation: audit.events
    mode: append
  Order_Lines:  # key id
    relation: "public.Order Lines"
    mode: mirror
  public_customers:  # key id, about 30,000 rows
    relation: public.customers
    mode: mirror
  sales_customers:  # key id
    relation: sales.customers
    mode: mirror

# Left out:
#   public.totals (view): is a view and has no log

# For marts behind it, add a dbt project's models and:
# transform:
#   select: +tag:crm
"""


def test_tables_with_a_key_are_mirrored_and_what_is_left_out_is_said() -> None:
    assert pipeline_text("crm", RELATIONS, source={"kind": "postgres", "dsn": "${CRM_DSN}"}) == TEXT


def test_how_a_stream_is_read_is_written_where_it_is_not_plain() -> None:
    relation = Relation("orders", "table", KEYED, read={"cursor": "updated_at", "deletes": "diff"})
    text = pipeline_text("crm", [relation], source={"kind": "sql", "url": "sqlite:///it's #1.db"})
    assert text.splitlines()[2:5] == ["source:", "  kind: sql", """  url: "sqlite:///it's #1.db\""""]
    assert text.splitlines()[10:16] == [
        "streams:",
        "  orders:  # key id",
        "    relation: orders",
        "    mode: mirror",
        "    read:",
        '      cursor: "updated_at"',
    ]


def test_a_source_is_described_by_its_keys() -> None:
    assert source_section("files", dsn_env=None, given=("url=./a=b",)) == {"kind": "files", "url": "./a=b"}
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        source_section("files", dsn_env=None, given=("url",))
    with pytest.raises(ConfigError, match="nothing says where the source is"):
        source_section("postgres", dsn_env=None, given=())


def test_the_file_is_a_good_pipeline_file(tmp_path: Path) -> None:
    path = tmp_path / "crm.yaml"
    path.write_text(TEXT)
    settings = Settings(env="development", home=tmp_path, config_dir=tmp_path)
    spec = load_pipeline(str(path), settings, environment={"CRM_DSN": "postgresql://db/x"}).spec
    assert {(stream.name, stream.relation, stream.mode) for stream in spec.streams.values()} == {
        ("events", "audit.events", Mode.APPEND),
        ("Order_Lines", "public.Order Lines", Mode.MIRROR),
        ("public_customers", "public.customers", Mode.MIRROR),
        ("sales_customers", "sales.customers", Mode.MIRROR),
    }


def test_names_that_differ_in_case_or_odd_characters_stay_apart() -> None:
    relations = [Relation(name, "table", KEYED) for name in ("public.a b", "public.A_b", "public.7up", "public.été")]
    assert stream_names(relations) == {
        "public.a b": "public_a_b",
        "public.A_b": "public_A_b_2",
        "public.7up": "t_7up",
        "public.été": "ete",
    }
