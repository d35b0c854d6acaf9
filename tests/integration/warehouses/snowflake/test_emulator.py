"""The emulator refuses what the service refuses: where it would not, tests on it would prove nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.warehouses.snowflake.options import parse
from adapters.warehouses.snowflake.session import Session, open_session
from adapters.warehouses.snowflake.statement import Statement
from pipeline.domain.errors import PipelineError
from tests.support.emulator import Emulator


@pytest.fixture
def session(emulator: Emulator) -> Iterator[Session]:
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
