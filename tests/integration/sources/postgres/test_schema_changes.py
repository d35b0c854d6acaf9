"""What a change of a table looks like in the schemas of the changes behind it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.domain.errors import SchemaRefused
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import BatchLimits
from tests.support.postgres import Copy, Scene, begin, checkpoint, stream

pytestmark = pytest.mark.integration


@pytest.fixture
def followed(scene: Scene) -> Copy:
    scene.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b text)")
    scene.sql("INSERT INTO t VALUES (1, 1, 'one')")
    return begin(scene.source(), [stream("t")])


def _schemas(copy: Copy) -> list[StreamSchema]:
    """Each schema that changes came under, in order."""
    found: list[StreamSchema] = []
    for batch in copy.batches:
        found += [schema for schema in batch.schemas.get("t", ()) if not found or found[-1] != schema]
    return found


def _described(schema: StreamSchema) -> list[tuple[str, int | None]]:
    return [(column.name, column.source_id) for column in schema.columns]


def test_an_added_column_brings_its_constant_default(scene: Scene, followed: Copy) -> None:
    scene.sql("ALTER TABLE t ADD COLUMN c numeric(6, 2) DEFAULT 1.5, ADD COLUMN d int[] DEFAULT '{1,2}'")
    scene.sql("INSERT INTO t VALUES (2, 2, 'two')")
    followed.follow(scene.source())

    [schema] = _schemas(followed)
    assert _described(schema) == [("id", 1), ("a", 2), ("b", 3), ("c", 4), ("d", 5)]
    assert schema.column("c").type == pa.decimal128(6, 2)
    defaults = [schema.column(name).default for name in ("a", "c", "d")]
    assert [None if value is None else str(value.as_py()) for value in defaults] == [None, "1.50", "[1,2]"]


def test_a_column_added_between_two_statements_splits_the_transaction_by_schema(scene: Scene, followed: Copy) -> None:
    scene.transaction(
        "INSERT INTO t VALUES (2, 2, 'two')",
        "ALTER TABLE t ADD COLUMN c int",
        "INSERT INTO t VALUES (3, 3, 'three', 3)",
    )
    followed.follow(scene.source())

    assert [list(schema.names) for schema in _schemas(followed)] == [["id", "a", "b"], ["id", "a", "b", "c"]]
    assert [batch.transaction_count for batch in followed.batches if not batch.is_empty] == [1]
    assert followed.rows["t"][(3,)] == {"id": 3, "a": 3, "b": "three", "c": 3}


def test_drop_rename_and_retype_keep_the_identity_of_columns(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    for statement in (
        "INSERT INTO t VALUES (2, 2, 'two')",
        "ALTER TABLE t RENAME COLUMN b TO label",
        "INSERT INTO t VALUES (3, 3, 'three')",
        "ALTER TABLE t DROP COLUMN a",
        "INSERT INTO t VALUES (4, 'four')",
        "ALTER TABLE t ALTER COLUMN id TYPE bigint",
        "INSERT INTO t VALUES (5000000000, 'five')",
    ):
        scene.sql(statement)
        followed.follow(source)

    assert [_described(schema) for schema in _schemas(followed)] == [
        [("id", 1), ("a", 2), ("b", 3)],
        [("id", 1), ("a", 2), ("label", 3)],
        [("id", 1), ("label", 3)],
        [("id", 1), ("label", 3)],
    ]
    assert [schema.column("id").type for schema in _schemas(followed)] == [pa.int32()] * 3 + [pa.int64()]


def test_a_log_several_versions_behind_the_catalog_is_told_by_position(scene: Scene, followed: Copy) -> None:
    for statement in (
        "INSERT INTO t VALUES (2, 2, 'two')",
        "ALTER TABLE t RENAME COLUMN b TO label",
        "INSERT INTO t VALUES (3, 3, 'three')",
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t ADD COLUMN c date DEFAULT '2026-01-02'",
        "INSERT INTO t VALUES (4, 'four')",
        "INSERT INTO t VALUES (5, 'five')",
    ):
        scene.sql(statement)
    followed.follow(scene.source())

    assert [_described(schema) for schema in _schemas(followed)] == [
        [("id", 1), ("a", 2), ("b", 3)],
        [("id", 1), ("a", 2), ("label", 3)],
        [("id", 1), ("label", 3), ("c", 4)],
    ]
    assert [row["label"] for row in followed.rows["t"].values() if "label" in row] == ["three", "four", "five"]


def test_a_renamed_or_moved_table_is_followed(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    with source.read(checkpoint(followed.position), followed.streams, limits=BatchLimits(), up_to=None) as reader:
        scene.sql("CREATE SCHEMA elsewhere")
        scene.sql("ALTER TABLE t RENAME TO renamed")
        scene.sql("ALTER TABLE renamed SET SCHEMA elsewhere")
        scene.sql("INSERT INTO elsewhere.renamed VALUES (2, 2, 'two')")
        while (2,) not in followed.rows["t"]:
            batch = reader.next(10)
            assert batch is not None
            followed.take(batch)

    assert followed.rows["t"] == scene.rows("elsewhere.renamed")


def test_a_table_made_anew_while_it_is_read_is_refused(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    with source.read(checkpoint(followed.position), followed.streams, limits=BatchLimits()) as reader:
        scene.transaction(
            "DROP TABLE t",
            "CREATE TABLE t (id int PRIMARY KEY)",
            f"ALTER PUBLICATION {scene.slot} ADD TABLE t",
        )
        scene.sql("INSERT INTO t VALUES (1)")
        with pytest.raises(SchemaRefused) as refused:
            _exhaust(reader)

    assert refused.value.facts["case"] == "recreated"


def test_a_table_that_loses_its_key_is_refused(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    with source.read(checkpoint(followed.position), followed.streams, limits=BatchLimits()) as reader:
        scene.sql("ALTER TABLE t REPLICA IDENTITY FULL")
        scene.sql("ALTER TABLE t DROP CONSTRAINT t_pkey")
        scene.sql("INSERT INTO t VALUES (2)")
        with pytest.raises(SchemaRefused) as refused:
            _exhaust(reader)

    assert refused.value.facts["case"] == "key"


def test_identity_switched_while_streaming_changes_nothing(scene: Scene, followed: Copy) -> None:
    source = scene.source()
    for identity in ("FULL", "DEFAULT", "FULL"):
        scene.sql(f"ALTER TABLE t REPLICA IDENTITY {identity}")
        scene.sql("UPDATE t SET id = id + 1, a = a + 1")
    scene.sql("DELETE FROM t")
    scene.sql("INSERT INTO t VALUES (9, 9, 'nine')")
    followed.follow(source)

    assert followed.rows["t"] == scene.rows("t")
    assert {schema.key for schema in _schemas(followed)} == {("id",)}


def _exhaust(reader: object) -> None:
    while True:
        reader.next(10)  # type: ignore[attr-defined]  # a reader of any kind
