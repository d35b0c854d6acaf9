"""The emulator refuses what the service refuses: where it would not, tests on it would prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from adapters.warehouses.snowflake.options import parse
from adapters.warehouses.snowflake.session import Session, open_session
from adapters.warehouses.snowflake.statement import Statement
from pipeline.domain.errors import PipelineError
from tests.support.emulator import Emulator


@pytest.fixture
def session(emulator: Emulator) -> Iterator[Session]:
    with in_a_database(emulator) as opened:
        yield opened


@pytest.fixture
def other(emulator: Emulator) -> Iterator[Session]:
    """The same in another database."""
    with in_a_database(emulator) as opened:
        yield opened


@contextmanager
def in_a_database(emulator: Emulator) -> Iterator[Session]:
    opened = open_session(parse("warehouse", emulator.options(emulator.new_database())))
    run(opened, 'CREATE SCHEMA "S"')
    run(opened, 'CREATE TABLE "S"."T" ("ID" NUMBER(38,0), "V" VARCHAR)')
    run(opened, """INSERT INTO "S"."T" VALUES (1, 'a'), (2, 'b')""")
    yield opened
    opened.close()


def run(session: Session, text: str, *values: object) -> list[tuple[object, ...]]:
    return session.rows(Statement(text, values))


def test_a_merge_with_two_rows_for_one_is_refused(session: Session) -> None:
    merge = """MERGE INTO "S"."T" AS t
USING (SELECT 1 AS "ID", ? AS "V" UNION ALL SELECT {}, 'y') AS s ON t."ID" = s."ID"
WHEN MATCHED THEN UPDATE SET "V" = s."V" WHEN NOT MATCHED THEN INSERT ("ID", "V") VALUES (s."ID", s."V")"""
    with pytest.raises(PipelineError) as caught:
        run(session, merge.format(1), "x")
    assert caught.value.facts["errno"] == 100090
    run(session, merge.format(3), "x")
    assert sorted(run(session, 'SELECT * FROM "S"."T"')) == [(1, "x"), (2, "b"), (3, "y")]


def test_ddl_commits_the_open_transaction(session: Session) -> None:
    run(session, "BEGIN")
    run(session, 'DELETE FROM "S"."T"')
    run(session, 'CREATE TABLE "S"."U" ("ID" NUMBER(38,0))')
    run(session, "ROLLBACK")
    assert run(session, 'SELECT COUNT(*) FROM "S"."T"') == [(0,)]


def test_a_file_is_copied_once(session: Session, tmp_path) -> None:  # type: ignore[no-untyped-def] # a path
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"c0": [3], "c1": ["c"]}), tmp_path / "1.parquet")
    run(session, "CREATE STAGE S.FILES")
    run(session, "CREATE FILE FORMAT S.PARQUET TYPE = PARQUET")
    session.put(tmp_path / "1.parquet", "@S.FILES/folder/")
    copy = """COPY INTO "S"."T" ("ID", "V") FROM (SELECT $1:c0::NUMBER(38,0), $1:c1::VARCHAR FROM @S.FILES/folder/)
FILES = ('1.parquet') FILE_FORMAT = (FORMAT_NAME = 'S.PARQUET')"""
    run(session, copy)
    run(session, copy)
    assert run(session, 'SELECT * FROM "S"."T" WHERE "ID" > 2') == [(3, "c")]


def test_a_statement_that_comes_again_is_done_where_it_comes(session: Session, other: Session) -> None:
    databases = 'SELECT DISTINCT "TABLE_CATALOG" FROM INFORMATION_SCHEMA.TABLES WHERE "TABLE_SCHEMA" = \'S\''
    assert run(session, databases) != run(other, databases)
    run(session, 'DELETE FROM "S"."T"')
    assert [run(each, 'SELECT COUNT(*) FROM "S"."T"') for each in (session, other)] == [[(0,)], [(2,)]]


def test_a_statement_that_is_several_is_made_anew_where_it_comes_again(session: Session, other: Session) -> None:
    for each in (session, other):
        run(each, "CREATE TABLE S.COUNTED (ID NUMBER(38,0) AUTOINCREMENT, V VARCHAR)")
        run(each, "INSERT INTO S.COUNTED (V) VALUES ('a')")
        assert run(each, "SELECT ID, V FROM S.COUNTED") == [(1, "a")]


def test_a_stage_that_is_made_again_is_empty_every_time(session: Session, tmp_path) -> None:  # type: ignore[no-untyped-def] # a path
    (tmp_path / "1.txt").write_text("1")
    for _ in range(3):
        run(session, "CREATE OR REPLACE STAGE S.FILES")
        assert run(session, "LIST @S.FILES") == []
        session.put(tmp_path / "1.txt", "@S.FILES/")
        assert len(run(session, "LIST @S.FILES")) == 1


def test_a_staged_file_is_that_of_the_database_in_which_it_is_read(session: Session, other: Session, tmp_path) -> None:  # type: ignore[no-untyped-def] # a path
    import pyarrow as pa
    import pyarrow.parquet as pq

    read = "SELECT $1:c0 FROM @S.FILES/1.parquet (FILE_FORMAT => 'S.PARQUET')"
    for number, each in enumerate((session, other)):
        pq.write_table(pa.table({"c0": [number]}), tmp_path / "1.parquet")
        run(each, "CREATE STAGE S.FILES")
        run(each, "CREATE FILE FORMAT S.PARQUET TYPE = PARQUET")
        each.put(tmp_path / "1.parquet", "@S.FILES/")
        assert run(each, read) == [(number,)]
