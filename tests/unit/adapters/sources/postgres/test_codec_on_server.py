"""A value read by a snapshot and the same value read from the log are one value, on real servers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import adbc_driver_postgresql.dbapi
import pyarrow as pa
import pytest

from adapters.sources.postgres.pgoutput import Decoder
from adapters.sources.postgres.types import column_of, native_values, select_expression
from adapters.sources.postgres.values import parse
from entrypoints.demo.server import EmbeddedPostgres
from tests.support.pglog import Recorder, recording, source_columns

pytestmark = pytest.mark.integration

_TYPES = """
create type mood as enum ('sad', 'happy, or so');
create domain price as numeric(8, 3);
create domain day as date;
create domain tags as text[];
create domain fixed as char(4);
create type pair as (x int, y text);
create type shout as enum ('hey');
create function loud(shout) returns text language sql return 'HEY';
create cast (shout as text) with function loud(shout);
"""

#: SQL literals of each type; every one is also tried as null.
VALUES: dict[str, list[str]] = {
    "bool": ["true", "false"],
    "int2": ["-32768", "32767"],
    "int4": ["-2147483648", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807"],
    "oid": ["0", "4294967295"],
    "float4": ["0.1", "-0.0", "1e-45", "NaN", "Infinity", "-Infinity", "3.4028235e38"],
    "float8": ["0.1", "-0.0", "5e-324", "NaN", "Infinity", "-Infinity", "1.7976931348623157e308"],
    "numeric": ["0", "-1.50", "NaN", "Infinity", "0.3333333333", "1e130000", "12345678901234567890123456789.123456789"],
    "numeric(12, 2)": ["9999999999.99", "-0.01", "NaN"],
    "numeric(2, -3)": ["99000", "-1000"],
    "numeric(3, 5)": ["0.00999", "-0.00001"],
    "numeric(100, 50)": ["1.5", "0.00000000001"],
    "price": ["1.5", "-99999.999"],
    "text": ["", " a ", "\r\n", "\ufeff", "\\N", '"', "e\u0301", "\u00e9", "\U0001f600", "x" * 10000],
    "varchar(5)": ["", "a  ", "abcde"],
    "char(5)": ["", "ab", "abcde"],
    "fixed": ["", "ab"],
    "name": ["", "somebody"],
    '"char"': ["", "a"],
    "bytea": ["", "\\x00ff5c", "\\x" + "00" * 1000],
    "date": ["0001-01-01", "9999-12-31", "infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "5874897-12-31"],
    "day": ["2024-02-29", "infinity"],
    "time": ["00:00", "23:59:59.999999", "24:00"],
    "timetz": ["12:00+05:30", "24:00-11"],
    "timestamp": [
        "0001-01-01",
        "9999-12-31 23:59:59.999999",
        "infinity",
        "-infinity",
        "4713-01-01 BC",
        "294276-12-31 23:59:59.999999",
    ],
    "timestamptz": [
        "2024-03-10 02:30:00.123456 America/New_York",
        "1900-01-01 Europe/Amsterdam",
        "infinity",
        "-infinity",
        "0044-03-15 12:00 BC",
        "10000-01-01 00:00+01",
        "294276-12-31 23:59:59.999999+00",
    ],
    "interval": ["1 year 2 months -3 days 04:05:06.789", "0"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "json": ['{"a":  1, "a": 2}', "null", '"\\u0000"', "123456789012345678901234567890"],
    "jsonb": ['{"b": 1, "a": [null]}', "null", "123456789012345678901234567890"],
    "inet": ["10.0.0.1", "10.0.0.0/8", "::1"],
    "cidr": ["10.0.0.0/8"],
    "macaddr": ["08:00:2b:01:02:03"],
    "bit(3)": ["101"],
    "varbit": ["", "10101"],
    "money": ["-12.34"],
    "tsvector": ["a:1 fat:2"],
    "tsquery": ["a & b"],
    "point": ["(1,2)"],
    "box": ["(2,2),(1,1)"],
    "path": ["((1,1),(2,2))"],
    "int2vector": ["1 2 3"],
    "pg_lsn": ["0/16B3748"],
    "regclass": ["pg_class"],
    "mood": ["sad", "happy, or so"],
    "pair": ['(1,"a b")', "(,)"],
    "int4range": ["[1,5)", "empty"],
    "int4multirange": ["{[1,3),[5,7)}"],
    "shout": ["hey"],
    "int4[]": ["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:2]={1,2,3}"],
    "float8[]": ["{1.5,NaN,-Infinity,1e300}"],
    "numeric(6, 2)[]": ["{1.5,-0.01}"],
    "bool[]": ["{t,f,NULL}"],
    "text[]": ["{}", "{a,b}", '{"a,b",NULL,"NULL","q\\"q","b\\\\s","","{}"}', "{{a,b},{c,d}}"],
    "varchar(9)[]": ["{abc,null}"],
    "jsonb[]": ['{"{\\"a\\": 1}","null"}'],
    "timestamptz[]": ['{"2024-01-01 00:00:00+00"}'],
    "mood[]": ['{sad,"happy, or so"}'],
    "tags": ["{x,y}", '{"a b"}'],
}


@pytest.fixture(scope="module", params=[16, 18])
def recorder(request: pytest.FixtureRequest) -> Iterator[Recorder]:
    """A database whose log holds one row for each value, in one table of all types."""
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(VALUES))
    with (
        EmbeddedPostgres(version=request.param) as server,
        recording(server, "codec", _TYPES, f"create table t (id serial primary key, {columns})") as made,
    ):
        made.connection.execute("set client_encoding = 'UTF8'")
        made.run("insert into t default values")
        for number, (kind, literals) in enumerate(VALUES.items()):
            for text in literals:
                made.connection.execute(f"insert into t (c{number}) values (%s::text::{kind})", [text])  # type: ignore[arg-type] # types of the test
        yield made


def _shown(column: str, values: pa.Array, misfits: list[tuple[pa.Array, pa.Array, str]]) -> list[object]:
    """Values without null rows, floats by their bits, misfits by text and reason."""
    if pa.types.is_floating(values.type):
        values = values.view(pa.uint32() if values.type == pa.float32() else pa.uint64())
    elif pa.types.is_temporal(values.type):
        values = values.cast(pa.string())
    shown: dict[int, object] = dict(enumerate(values.to_pylist()))
    for rows, texts, reason in misfits:
        shown |= {row: (text, reason) for row, text in zip(rows.to_pylist(), texts.to_pylist(), strict=True)}
    return list(shown.values())


@pytest.fixture(scope="module")
def logged(recorder: Recorder) -> dict[str, list[object]]:
    """Every column as the log has it."""
    [piece] = Decoder(epoch=0, resolve=recorder.resolver()).feed(recorder.frames()).pieces
    found = {}
    for name in piece.schema.names:
        misfits = [(each.rows, each.texts, each.reason) for each in piece.misfits if each.column == name]
        found[name] = _shown(name, piece.table[name].combine_chunks(), misfits)
    return found


def test_snapshot_and_log_agree_on_every_value_of_every_type(
    recorder: Recorder, logged: dict[str, list[object]]
) -> None:
    sources = source_columns(recorder.connection, "t")
    chosen = {name: select_expression(source, f'"{name}"') for name, source in sources.items()}
    selection = ", ".join(f'{sql} as "{name}"' for name, (sql, _) in chosen.items())
    settings = "set datestyle='ISO'; set intervalstyle='iso_8601'; set timezone='UTC'; set bytea_output='hex'"
    with (
        adbc_driver_postgresql.dbapi.connect(recorder.server.dsn("codec")) as connection,
        connection.cursor() as cursor,
    ):
        for setting in settings.split(";"):
            cursor.execute(setting)
        cursor.execute(f"select {selection} from t order by id")
        table = cursor.fetch_arrow_table()
    copied = {}
    for name, source in sources.items():
        column, array = column_of(source, name=name), table[name].combine_chunks()
        if chosen[name][1]:
            assert array.type == column.type
        values, misfits = native_values(column, array) if chosen[name][1] else parse(column, array)
        copied[name] = _shown(name, values, misfits)

    assert copied == logged
    rows_of_null_and_values = 1 + sum(map(len, VALUES.values()))
    assert {len(values) for values in logged.values()} == {rows_of_null_and_values}


def test_no_value_is_lost_without_a_word(logged: dict[str, list[object]]) -> None:
    given = {name: [value for value in values if value is not None] for name, values in logged.items()}

    assert {name: len(given[f"c{number}"]) for number, name in enumerate(VALUES)} == {
        name: len(literals) for name, literals in VALUES.items()
    }


def test_arrays_hold_what_the_server_itself_makes_of_them(recorder: Recorder, logged: dict[str, list[object]]) -> None:
    for number, kind in enumerate(VALUES):
        if not kind.endswith("[]") and kind != "tags":
            continue
        if kind == "timestamptz[]":
            continue  # to_json writes instants in another format
        query = f"select to_json(c{number})::text from t where c{number} is not null order by id"
        expected = [json.loads(text) for (text,) in recorder.connection.execute(query).fetchall()]  # type: ignore[arg-type] # as above

        assert [json.loads(str(text)) for text in logged[f"c{number}"] if text is not None] == expected, kind
