"""Streams that a folder could be."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.sources.files import build
from adapters.sources.files.discovery import pattern_of


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("a.csv", "*.csv"),
        ("orders/a.2026.csv.gz", "orders/*.csv.gz"),
        ("orders/year=2026/month=01/a.parquet", "orders/year={year}/month={month}/*.parquet"),
        ("a.unknown", "*.unknown"),
        ("README", "*"),
        ("_tmp/a.csv", None),
        (".a.csv", None),
    ],
)
def test_a_file_belongs_to_the_pattern_of_its_folder_and_suffix(path: str, pattern: str | None) -> None:
    assert pattern_of(path) == pattern


def test_files_of_a_folder_and_a_format_are_one_relation(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "a.csv").write_text("id,name\n1,x\n")
    (tmp_path / "orders" / "b.csv").write_text("id,price\n1,2.5\n")
    (tmp_path / "events.jsonl").write_text(json.dumps({"id": 1}))
    (tmp_path / "notes.doc").write_text("x")
    (tmp_path / "empty.parquet").write_text("")
    (tmp_path / "year=2026").mkdir()
    pq.write_table(pa.table({"id": [1]}), tmp_path / "year=2026" / "a.parquet")
    found = build("drop", {"url": str(tmp_path)}).discover()
    assert {relation.name: (relation.kind, relation.schema.names, relation.reason) for relation in found} == {
        "*.doc": ("files", (), "files of no known format"),
        "*.jsonl": ("jsonl files", ("id", "_file", "_line", "_extra"), None),
        "*.parquet": ("parquet files", (), "no file of it can be read"),
        "orders/*.csv": ("csv files", ("id", "name", "price", "_file", "_line"), None),
        "year={year}/*.parquet": ("parquet files", ("id", "year", "_file", "_line"), None),
    }
    assert found[3].schema.key == ("_file", "_line")
