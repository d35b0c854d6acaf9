"""Rows."""

import pytest

from pipeline.domain.errors import SourceRejected
from pipeline.domain.stream import Mode
from tests.support.oracle import assert_equal
from tests.support.world import World

BIG = "repeat(md5('x'), 40000)"  # 1.28 MB


@pytest.fixture
def documents(world: World) -> World:
    """A table whose big column is stored out of line and left out of the log where it is unchanged."""
    world.sql(
        "CREATE TABLE docs (id int PRIMARY KEY, title text, body text)",
        "ALTER TABLE docs ALTER body SET STORAGE EXTERNAL",
        f"INSERT INTO docs VALUES (1, 'one', {BIG}), (2, 'two', {BIG})",
    )
    world.stream("docs")
    world.run()
    return world


def test_an_update_keeps_a_big_column_that_it_did_not_touch(documents: World) -> None:
    documents.sql("UPDATE docs SET title = 'uno' WHERE id = 1")
    documents.run()
    assert documents.changelog("docs")[-1]["_cdc_unchanged"] == ["body"]
    assert_equal(documents)


def test_an_insert_and_an_update_that_leaves_its_big_column_in_one_batch(documents: World) -> None:
    documents.sql(
        f"INSERT INTO docs VALUES (3, 'three', {BIG} || 'new')", "UPDATE docs SET title = 'tres' WHERE id = 3"
    )
    documents.run()
    assert_equal(documents)


def test_an_update_to_null_is_not_unchanged(documents: World) -> None:
    documents.sql("UPDATE docs SET body = NULL WHERE id = 1")
    documents.run()
    assert_equal(documents)


def test_a_changed_key_takes_its_big_column_along(documents: World) -> None:
    documents.sql("UPDATE docs SET id = 9, title = 'nine' WHERE id = 1")
    documents.run()
    assert_equal(documents)


def test_in_soft_delete_mode_the_old_key_stays_as_deleted(documents: World) -> None:
    documents.stream("docs", mode=Mode.SOFT_DELETE)
    documents.run()
    documents.sql("UPDATE docs SET id = 9 WHERE id = 1")
    documents.run()
    assert_equal(documents)
    assert [row["id"] for row in documents.all_rows("docs") if row["_cdc_deleted"]] == [1]


def test_two_keys_swapped_through_a_third(documents: World) -> None:
    documents.sql(
        "UPDATE docs SET id = 3 WHERE id = 1",
        "UPDATE docs SET id = 1 WHERE id = 2",
        "UPDATE docs SET id = 2 WHERE id = 3",
    )
    documents.run()
    assert_equal(documents)


def test_delete_and_insert_of_one_key_in_one_transaction(documents: World) -> None:
    documents.sql("DELETE FROM docs WHERE id = 1", "INSERT INTO docs (id, title) VALUES (1, 'again')")
    documents.run()
    assert_equal(documents)


def test_insert_and_delete_of_one_key_in_one_batch(documents: World) -> None:
    documents.sql("INSERT INTO docs VALUES (5, 'five', 'b')", "DELETE FROM docs WHERE id = 5")
    documents.run()
    assert_equal(documents)


def test_in_soft_delete_mode_it_leaves_one_tombstone(documents: World) -> None:
    documents.stream("docs", mode=Mode.SOFT_DELETE)
    documents.run()
    documents.sql("INSERT INTO docs VALUES (5, 'five', 'b')", "DELETE FROM docs WHERE id = 5")
    documents.run()
    assert [(row["id"], row["body"]) for row in documents.all_rows("docs") if row["_cdc_deleted"]] == [(5, "b")]


def test_an_update_that_changes_nothing_makes_no_version(documents: World) -> None:
    documents.stream("docs", mode=Mode.HISTORY)
    documents.run()
    documents.sql("UPDATE docs SET title = title WHERE id = 1")
    documents.sql("UPDATE docs SET title = title, body = body WHERE id = 2")
    documents.run()
    assert len(documents.all_rows("docs")) == 2


def test_history_has_one_version_of_what_one_transaction_did_to_a_key(documents: World) -> None:
    documents.stream("docs", mode=Mode.HISTORY)
    documents.run()
    documents.sql("UPDATE docs SET title = 'uno' WHERE id = 1", "UPDATE docs SET title = 'eins' WHERE id = 1")
    documents.sql("INSERT INTO docs VALUES (5, 'five', 'b')", "DELETE FROM docs WHERE id = 5")
    documents.run()
    versions = sorted(documents.all_rows("docs"), key=lambda row: (row["id"], row["_cdc_valid_from"]))
    assert [(row["id"], row["title"], row["_cdc_current"]) for row in versions] == [
        (1, "one", False),
        (1, "eins", True),
        (2, "two", True),
    ]
    assert versions[0]["_cdc_valid_to"] == versions[1]["_cdc_valid_from"]
    assert_equal(documents)


def test_history_closes_at_a_delete_and_opens_at_an_insert(documents: World) -> None:
    documents.stream("docs", mode=Mode.HISTORY)
    documents.run()
    documents.sql("DELETE FROM docs WHERE id = 1")
    documents.sql("INSERT INTO docs VALUES (1, 'back', 'b')")
    documents.run()
    versions = sorted(
        (row for row in documents.all_rows("docs") if row["id"] == 1), key=lambda row: row["_cdc_valid_from"]
    )
    assert [(row["title"], row["_cdc_current"]) for row in versions] == [("one", False), ("back", True)]
    assert versions[0]["_cdc_valid_to"] < versions[1]["_cdc_valid_from"]
    assert versions[0]["_cdc_valid_to_at"] <= versions[1]["_cdc_valid_from_at"]
    assert_equal(documents)


def test_a_table_without_a_key_is_append_only(world: World) -> None:
    world.sql(
        "CREATE TABLE notes (note text)",
        "ALTER TABLE notes REPLICA IDENTITY FULL",
        "INSERT INTO notes VALUES ('a'), ('a')",
    )
    world.stream("notes")
    with pytest.raises(SourceRejected, match="key"):
        world.run()
    world.stream("notes", mode=Mode.APPEND)
    world.run()
    world.sql("DELETE FROM notes WHERE ctid = (SELECT min(ctid) FROM notes)")
    world.run()
    assert [row["_cdc_op"] for row in world.changelog("notes")] == ["snapshot", "snapshot", "delete"]


def test_a_table_that_could_not_be_written_any_more_is_refused_before_publishing(world: World) -> None:
    world.sql(
        "CREATE TABLE notes (note text)", "ALTER TABLE notes REPLICA IDENTITY NOTHING", "INSERT INTO notes VALUES ('a')"
    )
    world.stream("notes")
    with pytest.raises(SourceRejected):
        world.run()
    world.sql("UPDATE notes SET note = 'b'", "DELETE FROM notes")
    assert world.rows("SELECT count(*) FROM pg_publication_tables") == [(0,)]


def test_the_replica_identity_is_switched_while_streaming(documents: World) -> None:
    for number, identity in enumerate(["FULL", "DEFAULT"]):
        documents.sql(f"ALTER TABLE docs REPLICA IDENTITY {identity}")
        documents.sql(
            f"UPDATE docs SET title = 'step {number}' WHERE id = 1", f"UPDATE docs SET id = {20 + number} WHERE id > 1"
        )
        documents.sql(
            f"INSERT INTO docs VALUES ({40 + number}, 'more', 'm')", f"DELETE FROM docs WHERE id = {40 + number}"
        )
    documents.run()
    assert_equal(documents)


def test_keys_that_only_look_alike_stay_different(world: World) -> None:
    keys = ["", " ", "a", "a ", "A", "\u00e9", "e\u0301", "\u00c9"]
    world.sql("CREATE TABLE words (a text, b text, n int, PRIMARY KEY (a, b))")
    world.sql(*(f"INSERT INTO words VALUES (E'{key}', '', {n}), ('', E'x{key}', {n})" for n, key in enumerate(keys)))
    world.stream("words")
    world.run()
    world.sql("UPDATE words SET n = n + 100", "DELETE FROM words WHERE a IN ('a ', E'e\u0301')")
    world.run()
    assert_equal(world)


def test_full_identity_with_nan_in_a_float_column(world: World) -> None:
    world.sql(
        "CREATE TABLE points (id int PRIMARY KEY, x float8)",
        "ALTER TABLE points REPLICA IDENTITY FULL",
        "INSERT INTO points VALUES (1, 'NaN'), (2, 'NaN'), (3, '-0')",
    )
    world.stream("points")
    world.run()
    world.sql("DELETE FROM points WHERE id = 1", "UPDATE points SET x = 1 WHERE id = 2")
    world.run()
    assert_equal(world)
