"""What doctor, init and sensors are told of a SQL database, and that looking at it disturbs nobody."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import attrs
import pytest

import adapters.sources.sql
from pipeline.domain.errors import ConfigError, PipelineError, SourceRejected, SourceUnreachable
from pipeline.domain.finding import Level
from pipeline.domain.stream import StreamSpec
from tests.support.sql_world import SqliteOrigin, SqlWorld

TABLE = "CREATE TABLE orders (id integer PRIMARY KEY, note text, updated_at timestamp)"


def told(world: SqlWorld) -> list[tuple[str, Level]]:
    source = world.source()
    findings = source.inspect([world.spec])
    source.close()
    return [(finding.check, finding.level) for finding in findings]


def test_doctor_tells_of_an_index_that_is_missing_and_of_rows_without_a_cursor(world: SqlWorld) -> None:
    world.read = {"cursor": "updated_at"}
    world.origin.sql(TABLE, "INSERT INTO orders VALUES (1, 'a', NULL)")
    assert told(world) == [
        ("table", Level.OK),
        ("key", Level.OK),
        ("cursor", Level.OK),
        ("index", Level.WARNING),
        ("nulls", Level.WARNING),
    ]

    world.origin.sql("CREATE INDEX touched ON orders (updated_at)", "DELETE FROM orders")

    assert told(world) == [("table", Level.OK), ("key", Level.OK), ("cursor", Level.OK)]


def test_doctor_tells_of_a_key_that_is_not_unique_and_of_one_that_is_not_there(world: SqlWorld) -> None:
    world.origin.sql("CREATE TABLE orders (id integer, note text)", "INSERT INTO orders VALUES (1, 'a'), (1, 'b')")
    assert told(world) == [("table", Level.OK), ("key", Level.WARNING)]
    world.read = {"key": "id"}
    assert told(world) == [("table", Level.OK), ("key", Level.ERROR)]
    world.read = {"key": "none"}
    assert told(world) == [("key", Level.ERROR)]
    world.read = {"cursor": "none"}
    assert told(world) == [("cursor", Level.ERROR)]
    world.relation = "nothing"
    assert told(world) == [("missing", Level.ERROR)]


def test_init_is_told_of_tables_and_how_each_would_be_read(world: SqlWorld) -> None:
    world.origin.sql(
        TABLE,
        "CREATE INDEX touched ON orders (updated_at)",
        "CREATE TABLE loose (a integer)",
        "CREATE VIEW big AS SELECT id FROM orders",
    )
    source = world.source()
    relations = source.discover()
    source.close()

    short = [relation.name.removeprefix("public.") for relation in relations]
    assert short == ["big", "loose", "orders"]
    assert [relation.kind for relation in relations] == ["view", "table", "table"]
    assert [relation.schema.key for relation in relations] == [(), (), ("id",)]
    assert [dict(relation.read) for relation in relations] == [{}, {}, {"cursor": "updated_at", "deletes": "diff"}]


def test_a_mark_changes_with_the_rows_and_only_then(world: SqlWorld) -> None:
    world.origin.sql(TABLE, "INSERT INTO orders VALUES (1, 'a', NULL)")
    detector = adapters.sources.sql.build_detector("shop", {"url": world.origin.url})
    world.origin.rows("SELECT * FROM orders")
    seen = detector.look([world.spec])
    for statement in (
        "UPDATE orders SET note = 'b'",
        "INSERT INTO orders VALUES (2, 'c', NULL)",
        "DELETE FROM orders WHERE id = 1",
    ):
        again = detector.look([world.spec], since=seen.mark)
        assert not again.has_changes
        world.origin.sql(statement)
        seen = detector.look([world.spec], since=again.mark)
        assert seen.has_changes, statement
    detector.close()


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_look_lets_writers_commit_while_its_rows_are_used(tmp_path: Path, journal: str) -> None:
    origin = SqliteOrigin(tmp_path / "shop.db", journal=journal)
    origin.sql(TABLE, *(f"INSERT INTO orders VALUES ({number}, 'x', NULL)" for number in range(100)))
    source = adapters.sources.sql.build("shop", {"url": origin.url})
    spec = StreamSpec("orders", "orders", "shop")
    with source.begin([spec], epoch=0) as snapshot:
        batches = snapshot.read("orders")
        first = next(batches)
        writer = sqlite3.connect(origin.path, timeout=0)
        writer.execute("UPDATE orders SET note = 'y'")
        writer.commit()
        writer.close()
        rows = [note for batch in (first, *batches) for note in batch.table["note"].to_pylist()]
    source.close()
    assert rows == ["x"] * 100


def test_no_query_writes_anything(world: SqlWorld) -> None:
    world.origin.sql(TABLE, "INSERT INTO orders VALUES (1, 'a', NULL)")
    world.read = {"query": "SELECT 1 AS id) AS q; DELETE FROM orders; SELECT (1"}
    with pytest.raises(PipelineError):
        world.run()
    assert world.origin.rows("SELECT id FROM orders") == [(1,)]


def test_no_function_in_a_query_writes_anything(postgres_world: SqlWorld) -> None:
    postgres_world.origin.sql("CREATE SEQUENCE numbers")
    postgres_world.read = {"query": "SELECT nextval('numbers') AS id", "key": "id"}
    with pytest.raises(PipelineError):
        postgres_world.run()
    assert postgres_world.origin.rows("SELECT is_called FROM numbers") == [(False,)]


def test_errors_say_whether_trying_again_helps_and_show_no_secret(world: SqlWorld) -> None:
    """P10."""
    world.origin.sql("CREATE TABLE orders (id integer PRIMARY KEY, note text)")
    world.read = {"query": "SELECT id, nothing_canary FROM orders", "key": "id"}
    with pytest.raises(SourceRejected) as refused:
        world.run()
    assert "canary" not in str(refused.value)
    for url, kind in (
        ("sqlite:////nowhere/canary.db", SourceUnreachable),
        ("postgresql://user:canary-secret@127.0.0.1:1/none", SourceUnreachable),
        ("nodialect://user:canary-secret@example.com/none", ConfigError),
    ):
        source = adapters.sources.sql.build("shop", {"url": url})
        with pytest.raises(kind) as failed:
            source.schemas([attrs.evolve(world.spec, read={})])
        assert "canary-secret" not in str(failed.value)
        source.close()


def test_preview_shows_the_first_rows_and_leaves_nothing(world: SqlWorld) -> None:
    world.origin.sql(TABLE, "INSERT INTO orders VALUES (1, 'a', NULL), (2, 'b', NULL), (3, 'c', NULL)")
    source = world.source()
    table = source.preview(world.spec, limit=2)
    source.close()
    assert table.num_rows == 2
    assert table.column_names == ["id", "note", "updated_at"]
