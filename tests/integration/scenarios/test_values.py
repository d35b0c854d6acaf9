"""Values."""

import json

import pytest

from pipeline.domain.contract import Contract, OnMisfit
from tests.support.oracle import assert_equal
from tests.support.world import World

#: A column of each family with values that are hard on somebody.
VALUES = {
    "numeric(38,10)": ["0.0000000001", "-9999999999999999999999999999.9999999999"],
    "numeric": ["0.1", "-12345678901234567890.123456789"],
    "date": ["0001-01-01", "2026-02-28", "9999-12-31"],
    "timestamp": ["2024-03-31 02:30:00", "1999-12-31 23:59:59.999999"],
    "timestamptz": ["2024-10-27 02:30:00 Europe/Amsterdam", "2026-01-01 00:00:00.000001+05:45"],
    "time": ["00:00:00", "23:59:59.999999"],
    "text": ["", "a\tb", "line\r\nbreak", "\\N", "\"quoted\", 'single'", "\ufeffbom", "null", "\u00e9 e\u0301 🚀"],
    "bytea": ["\\x", "\\x00ff10"],
    "float4": ["0.1", "-0", "1e-45", "NaN", "Infinity"],
    "float8": ["0.1", "-0", "5e-324", "NaN", "-Infinity", "1.7976931348623157e308"],
    "int8": ["-9223372036854775808", "9223372036854775807"],
    "boolean": ["true", "false"],
    "uuid": ["00000000-0000-0000-0000-000000000000"],
}


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind)
def test_values_survive_the_copy_and_the_log_alike(world: World, kind: str) -> None:
    world.sql(f"CREATE TABLE t (id int PRIMARY KEY, v {kind})")
    values = [None, *VALUES[kind]]
    copied = ", ".join(f"({n}, {_literal(value)}::{kind})" for n, value in enumerate(values))
    logged = ", ".join(f"({100 + n}, {_literal(value)}::{kind})" for n, value in enumerate(values))
    world.sql(f"INSERT INTO t VALUES {copied}")
    world.stream("t")
    world.run()
    world.sql(f"INSERT INTO t VALUES {logged}")
    world.run()
    assert_equal(world)
    assert world.quarantined("t") == []


def test_json_null_is_not_sql_null_and_numbers_keep_their_digits(world: World) -> None:
    document = '{"n": 123456789012345678901234567890, "list": [1, null, {"a": "é"}]}'
    world.sql(
        "CREATE TABLE t (id int PRIMARY KEY, b jsonb, j json)",
        "INSERT INTO t VALUES (1, 'null', 'null'), (2, NULL, NULL)",
    )
    world.stream("t")
    world.run()
    world.sql(f"INSERT INTO t VALUES (3, '{document}', '{document}'), (4, 'null', NULL)")
    world.run()
    rows = {row["id"]: row for row in world.staging("t").to_pylist()}
    assert (rows[1]["b"], rows[2]["b"], rows[4]["b"], rows[4]["j"]) == ("null", None, "null", None)
    assert json.loads(rows[3]["b"])["n"] == 123456789012345678901234567890
    assert world.document(rows[3]["j"]) == world.document(document)


def test_a_json_text_may_name_a_character_that_postgres_cannot_store(world: World) -> None:
    text = r'{"nul": "a\u0000b", "pair": "\ud83d\ude80"}'
    world.sql("CREATE TABLE t (id int PRIMARY KEY, j json)", f"INSERT INTO t VALUES (1, '{text}')")
    world.stream("t")
    world.run()
    world.sql("INSERT INTO t SELECT 2, j FROM t")
    world.run()
    assert [world.document(row["j"]) for row in world.staging("t").to_pylist()] == [world.document(text)] * 2


def test_types_without_a_counterpart_arrive_as_their_texts(world: World) -> None:
    world.sql(
        "CREATE TABLE t (id int PRIMARY KEY, v tsvector, p point, m int4multirange, a macaddr, t timetz)",
        "INSERT INTO t VALUES (1, 'fat:1 cat:2', '(1,2)', '{[1,3),[5,7)}', '08:00:2b:01:02:03', '12:00:00+05:30')",
    )
    world.stream("t")
    world.run()
    world.sql("INSERT INTO t SELECT 2, v, p, m, a, t FROM t")
    world.run()
    row = {
        "v": "'cat':2 'fat':1",
        "p": "(1,2)",
        "m": "{[1,3),[5,7)}",
        "a": "08:00:2b:01:02:03",
        "t": "12:00:00+05:30",
    }
    found = sorted(world.staging("t").to_pylist(), key=lambda row: row["id"])
    assert found == [{"id": 1, **row}, {"id": 2, **row}]


def test_a_document_of_15_mb(duckdb_world: World) -> None:
    world = duckdb_world
    world.sql("CREATE TABLE t (id int PRIMARY KEY, b jsonb)", "INSERT INTO t VALUES (1, '{}')")
    world.stream("t")
    world.run()
    world.sql("INSERT INTO t SELECT 2, jsonb_build_object('text', repeat('0123456789', 1500000))")
    world.run()
    assert_equal(world)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("numeric", "NaN"),
        ("numeric", "1e100"),
        ("numeric", "0." + "1" * 60),
        ("date", "infinity"),
        ("date", "0044-03-15 BC"),
        ("timestamp", "-infinity"),
        ("timestamptz", "294276-12-31 23:59:59+00"),
    ],
)
def test_what_a_type_cannot_hold_waits_in_quarantine_from_copy_and_log(world: World, kind: str, value: str) -> None:
    world.sql(f"CREATE TABLE t (id int PRIMARY KEY, v {kind})", f"INSERT INTO t VALUES (1, '{value}'), (2, NULL)")
    world.stream("t")
    world.run()
    world.sql(f"INSERT INTO t VALUES (3, '{value}'), (4, NULL)")
    world.run()
    assert sorted(row["id"] for row in world.staging("t").to_pylist()) == [2, 4]
    assert sorted(json.loads(row["key"])["id"] for row in world.quarantined("t")) in ([1, 3], ["1", "3"])
    assert_equal(world)


def test_by_contract_it_becomes_null_and_is_counted(world: World) -> None:
    world.sql("CREATE TABLE t (id int PRIMARY KEY, v numeric)", "INSERT INTO t VALUES (1, 'NaN')")
    world.stream("t", contract=Contract(on_misfit=OnMisfit.NULL))
    world.run()
    assert world.staging("t").to_pylist() == [{"id": 1, "v": None}]
    (copy,) = world.warehouse.audit("shop")
    assert "misfit_count" in str(copy)


def test_generated_columns_are_left_out_and_never_null(world: World) -> None:
    world.sql("CREATE TABLE t (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED)")
    world.sql("INSERT INTO t VALUES (1, 4)")
    world.stream("t")
    world.run()
    world.sql("INSERT INTO t VALUES (2, 5)")
    world.run()
    assert world.staging("t").schema.names == ["id", "a"]
    assert_equal(world)


def test_one_bad_value_among_many_sets_one_row_apart(duckdb_world: World) -> None:
    world = duckdb_world
    world.sql("CREATE TABLE t (id int PRIMARY KEY, v numeric)")
    world.stream("t")
    world.run()
    world.sql(
        "INSERT INTO t SELECT n, CASE WHEN n = 54321 THEN 'NaN'::numeric ELSE n END FROM generate_series(1, 100000) n"
    )
    world.run()
    assert world.staging("t").num_rows == 99_999
    assert [json.loads(row["key"]) for row in world.quarantined("t")] in ([{"id": 54321}], [{"id": "54321"}])


def test_everyday_types_arrive_as_something_a_person_can_use(world: World) -> None:
    world.sql(
        "CREATE TYPE mood AS ENUM ('happy', 'sad')",
        "CREATE DOMAIN age AS int CHECK (VALUE > 0)",
        "CREATE TYPE pair AS (a int, b text)",
        "CREATE TABLE t (id int PRIMARY KEY, m mood, a age, u uuid, ints int[], texts text[], r int4range, i inet,"
        " v interval, b bit(3), c money, p pair, grid int[][])",
        "INSERT INTO t SELECT n, 'happy'::mood, 42, '123e4567-e89b-12d3-a456-426614174000'::uuid, '{1,NULL,3}'::int[],"
        """ ARRAY['a,b', 'quote "', NULL, '']::text[], '[1,5)'::int4range, '192.0.2.1/24'::inet,"""
        " '1 year 2 days 03:04:05'::interval,"
        " B'101', 12.34,"
        " ROW(1, 'x y')::pair, '{{1,2},{3,4}}'::int[] FROM generate_series(1, 2) n",
    )
    world.stream("t")
    world.run()
    world.sql("INSERT INTO t SELECT 3, m, a, u, ints, texts, r, i, v, b, c, p, grid FROM t WHERE id = 1")
    world.run()
    expected = {
        "m": "happy",
        "a": 42,
        "u": "123e4567-e89b-12d3-a456-426614174000",
        "ints": [1, None, 3],
        "texts": ["a,b", 'quote "', None, ""],
        "r": "[1,5)",
        "i": "192.0.2.1/24",
        "v": "P1Y2DT3H4M5S",
        "b": "101",
        "p": '(1,"x y")',
        "grid": [[1, 2], [3, 4]],
    }
    rows = world.staging("t").to_pylist()
    assert len(rows) == 3
    for row in rows:
        found = {name: row[name] for name in expected}
        found |= {name: json.loads(row[name]) for name in ("ints", "texts", "grid")}
        assert found == expected
        assert "12.34" in row["c"]


def _literal(value: str | None) -> str:
    if value is None:
        return "NULL"
    return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
