"""Every format, plain and compressed: read alike into DuckDB, and broken files set apart (SCENARIOS I4, E)."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zlib
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.folder_rig import FolderRig

ROWS = [{"id": 1, "name": "äpfel", "price": 1.5}, {"id": 2, "name": None, "price": 2.25}]
LOADED = [(1, "äpfel", 1.5), (2, None, 2.25)]

AVRO = {
    "type": "record",
    "name": "Row",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["null", "string"]},
        {"name": "price", "type": "double"},
    ],
}


def csv_bytes() -> bytes:
    return "id,name,price\n1,äpfel,1.5\n2,,2.25\n".encode()


def jsonl_bytes() -> bytes:
    return "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def parquet_bytes() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), file)
    return file.getvalue()


def avro_bytes() -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, AVRO, ROWS)
    return file.getvalue()


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


FORMATS = {"csv": csv_bytes, "jsonl": jsonl_bytes, "parquet": parquet_bytes, "avro": avro_bytes}


@pytest.mark.parametrize("form", FORMATS)
def test_plain_and_compressed_files_hold_the_same_rows(rig: FolderRig, form: str) -> None:
    packers: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstd}
    rig.read = {"path": f"*.{form}*"}
    content = FORMATS[form]()
    for suffix, pack in packers.items():
        rig.put(f"a.{form}{suffix}", pack(content))
    rig.run()
    assert rig.rows("id", "name", "price") == sorted(LOADED * 4, key=repr)
    assert rig.quarantined() == []
    assert rig.verify().is_equal


@pytest.mark.parametrize("form", FORMATS)
def test_files_that_are_cut_short_or_of_another_kind_wait_in_quarantine_while_others_load(
    rig: FolderRig, form: str
) -> None:
    rig.read = {"path": f"*.{form}*"}
    content = FORMATS[form]()
    rig.put(f"a.{form}", content)
    rig.put(f"cut.{form}.gz", gzip.compress(content)[:-9])
    rig.put(f"lie.{form}.gz", b"no gzip at all")
    rig.put(f"zero.{form}", b"")
    if form in {"parquet", "avro"}:
        rig.put(f"other.{form}", b"id,name\n1,apple\n" * 10)
    rig.run()
    assert rig.rows("id", "name", "price") == LOADED
    bad = {json.loads(row["key"])["_file"] for row in rig.quarantined()}
    expected = {f"cut.{form}.gz", f"lie.{form}.gz", f"zero.{form}"}
    assert bad == expected | ({f"other.{form}"} if form in {"parquet", "avro"} else set())
    assert rig.changed().read_count == 0


def test_rows_before_the_break_of_a_long_file_load_and_its_mending_loads_the_rest(rig: FolderRig) -> None:
    rig.read = {"path": "*.csv.gz", "block_bytes": 16 * 1024}
    lines = "id,name\n" + "".join(f"{number},{number * 7919 % 104729}\n" for number in range(20_000))
    whole = gzip.compress(lines.encode())
    rig.put("a.csv.gz", whole[: len(whole) // 2])
    rig.run()
    readable = zlib.decompressobj(wbits=31).decompress(whole[: len(whole) // 2]).count(b"\n") - 1
    loaded = {number for (number,) in rig.rows("id")}
    assert loaded == set(range(len(loaded)))
    assert readable - 3_500 < len(loaded) <= readable, "all but the last piece of 32 KB, in which it breaks"
    assert [row["key"] for row in rig.quarantined()] == ['{"_file":"a.csv.gz","_line":0}']
    rig.put("a.csv.gz", whole)
    rig.run()
    assert sorted(number for (number,) in rig.rows("id")) == list(range(20_000))
    assert rig.quarantined() == []
    assert rig.verify().is_equal


def test_types_of_parquet_files_arrive_as_they_are(rig: FolderRig) -> None:
    rig.read = {"path": "*.parquet"}
    table = pa.table(
        {
            "d": pa.array([Decimal("1.50"), None], pa.decimal128(6, 2)),
            "day": pa.array([date(2026, 1, 31), None]),
            "at": pa.array([datetime(2026, 1, 31, 12, tzinfo=UTC), None], pa.timestamp("ns", "Europe/Vienna")),
            "raw": pa.array([b"\x00\xff", None]),
            "word": pa.array(["x", None]).dictionary_encode(),
            "nested": pa.array([{"a": [1, 2]}, None]),
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    rig.put("a.parquet", file.getvalue())
    rig.run()
    assert rig.rows("d", "day", "at", "raw", "word", "nested") == sorted(
        [
            (
                Decimal("1.50"),
                date(2026, 1, 31),
                datetime(2026, 1, 31, 12, tzinfo=UTC),
                b"\x00\xff",
                "x",
                '{"a":[1,2]}',
            ),
            (None,) * 6,
        ],
        key=repr,
    )
    assert rig.verify().is_equal


def test_logical_types_and_nested_records_of_avro_files_arrive(rig: FolderRig) -> None:
    rig.read = {"path": "*.avro"}
    schema = {
        "type": "record",
        "name": "Row",
        "fields": [
            {"name": "day", "type": {"type": "int", "logicalType": "date"}},
            {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            {"name": "one", "type": ["null", "long", "string"]},
        ],
    }
    row = {
        "day": date(2026, 1, 31),
        "d": Decimal("1.50"),
        "at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "kind": "B",
        "tags": ["x", "y"],
        "one": 7,
    }
    file = io.BytesIO()
    fastavro.writer(file, schema, [row])
    rig.put("a.avro", file.getvalue())
    rig.run()
    assert rig.rows("day", "d", "at", "kind", "tags", "one") == [
        (date(2026, 1, 31), Decimal("1.50"), datetime(2026, 1, 31, 12, tzinfo=UTC), "B", '["x","y"]', "7")
    ]


def test_members_of_json_lines_that_no_sample_showed_are_not_lost(rig: FolderRig) -> None:
    rig.read = {"path": "*.jsonl", "sample_bytes": 64}
    lines = [{"id": number} for number in range(50)] + [{"id": 50, "late": {"a": 1.10}}]
    rig.put("a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    rig.run()
    assert rig.rows("id", "_extra")[-3:] == [(7, None), (8, None), (9, None)]
    assert [row for row in rig.rows("id", "_extra") if row[1] is not None] == [(50, '{"late":{"a":1.1}}')]


def test_declared_columns_are_all_that_is_read_and_doctor_counts_the_others(rig: FolderRig) -> None:
    rig.read = {"path": "*.jsonl", "columns": {"id": "int", "absent": "text"}}
    rig.put("a.jsonl", '{"id":1,"name":"x","more":2}\n')
    rig.run()
    assert rig.rows("id", "absent") == [(1, None)]
    found = {(finding.check, finding.what) for finding in rig.source().inspect([rig.spec])}
    assert found == {
        ("files", "1 files match, 29 bytes"),
        ("columns", "2 columns of the files are not declared and left out: name, more"),
        ("columns", "1 declared columns are in no file and stay null: absent"),
    }
