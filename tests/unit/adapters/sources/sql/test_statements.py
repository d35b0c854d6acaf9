"""The SQL that is sent, whole."""

from __future__ import annotations

import pyarrow as pa

from adapters.sources.sql import postgresql_view, sqlite_statements
from adapters.sources.sql.database import Described, Select, Selected, as_is
from adapters.sources.sql.reading import Reading
from adapters.sources.sql.sqlite_types import column_of
from pipeline.domain.schema import Column

DAY = Selected(Column("day", pa.date32(), source_type="date"), '"day"', as_is, '"day"')
NUMBER = Selected(Column("n", pa.int64(), nullable=False, source_type="bigint"), '"n"', as_is, '"n"')
NOTE = Selected(Column("note", pa.string(), source_type="text"), '"note"', as_is, '"note" COLLATE "C"')


def select(*columns: Selected, **more: object) -> Select:
    described = Described(Reading("t"), columns)
    return Select(described, columns, **more)  # type: ignore[arg-type] # as each test says


def test_a_cursor_of_two_columns_on_postgresql() -> None:
    wanted = select(
        DAY,
        NUMBER,
        since=((DAY, pa.scalar(20_000, pa.int32()).cast(pa.date32())), (NUMBER, pa.scalar(5))),
        until=(DAY, pa.scalar(20_001, pa.int32()).cast(pa.date32())),
        order=(DAY, NUMBER),
    )
    assert postgresql_view.statement(wanted, '"public"."t"') == (
        'SELECT "day" AS c0, "n" AS c1 FROM "public"."t" '
        """WHERE (("day" >= '2024-10-04'::date AND ("day" > '2024-10-04'::date OR "n" >= '5'::bigint)) """
        """OR "day" IS NULL) """
        """AND ("day" <= '2024-10-05'::date OR "day" IS NULL) ORDER BY "day", "n\""""
    )


def test_a_text_is_written_so_that_it_ends_where_it_ends() -> None:
    wanted = select(NOTE, since=((NOTE, pa.scalar("it's \\ x")),))
    assert postgresql_view.statement(wanted, "t") == (
        """SELECT "note" AS c0 FROM t WHERE ("note" COLLATE "C" >=  E'it''s \\\\ x'::text """
        """OR "note" COLLATE "C" IS NULL)"""
    )


def test_values_are_bound_on_sqlite_and_odd_ones_told() -> None:
    number = column_of("n", source_name="n", quoted='"n"', declared="INT", nullable=False)
    wanted = select(number, since=((number, pa.scalar(5)),), order=(number,))
    assert sqlite_statements.statement(wanted, "t", is_plain=True) == (
        'SELECT 0 AS c0, 0 AS rank, 0.0 UNION ALL SELECT "n", 1, "n" FROM t WHERE ("n" >= ?) ORDER BY 2, 3',
        [5],
    )
    assert sqlite_statements.statement(select(number, limit=3), "t") == (
        """SELECT 0 AS c0, '' AS oddities UNION ALL SELECT CASE WHEN typeof("n")='integer' THEN "n" END, """
        """CASE WHEN (typeof("n") NOT IN ('integer','null')) THEN json_array(CASE WHEN (typeof("n") NOT IN """
        """('integer','null')) THEN CASE typeof("n") WHEN 'blob' THEN hex("n") ELSE CAST("n" AS TEXT) END END) END """
        "FROM t LIMIT 4",
        [],
    )
