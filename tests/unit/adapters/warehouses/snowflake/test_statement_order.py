"""The check that every test on the emulator ends with finds each kind of disorder."""

from __future__ import annotations

import pytest

from tests.support.emulator import Seen
from tests.support.statement_order import complaints

MOVE = 'UPDATE "PIPELINE"."CHECKPOINT_SHOP" SET "POSITION" = ?'
MERGE = 'MERGE INTO "STAGING"."SHOP__PEOPLE" AS t'
EMPTY = 'DELETE FROM "STAGING"."SHOP__PEOPLE"'
STATES = 'MERGE INTO "PIPELINE"."STREAMS" AS t'
MODE = 'UPDATE "PIPELINE"."STREAMS" SET "MODE" = ?'
SHOW = 'CREATE TABLE "STAGING"."SHOP__PEOPLE" AS'
COPY = 'COPY INTO "CHANGELOG"."SHOP__PEOPLE" ("ID")'


def seen(*texts: str, error_at: int | None = None) -> list[Seen]:
    return [Seen(1, text, 604 if number == error_at else None) for number, text in enumerate(texts)]


def test_an_orderly_load_has_no_complaints() -> None:
    orderly = seen("CREATE TABLE x (y INT)", "BEGIN", MOVE, COPY, "COMMIT", "DROP TABLE x", "BEGIN", MOVE, "ROLLBACK")
    assert complaints(seen("BEGIN", MOVE, EMPTY, MODE, "COMMIT", MOVE, SHOW, MODE)) == []
    assert complaints([*orderly, *seen("BEGIN", MOVE, "ROLLBACK", error_at=1)]) == []


@pytest.mark.parametrize(
    ("statements", "phrase"),
    [
        (seen("BEGIN", COPY, MOVE, "COMMIT"), "the checkpoint does not come first, but: COPY INTO"),
        (seen("BEGIN", MOVE, "CREATE TABLE x (y INT)", "COMMIT"), "DDL within a transaction: CREATE TABLE"),
        (seen("BEGIN", MOVE, COPY, "COMMIT", error_at=2), "a transaction is committed after an error"),
        (seen("BEGIN", MOVE, COPY, "ROLLBACK", error_at=1), "after an error no rollback, but: COPY INTO"),
        (seen("BEGIN", MOVE, COPY), "a transaction is left open"),
        (seen("BEGIN", MOVE, "BEGIN", MOVE, "COMMIT"), "a transaction begins within another"),
        (seen("BEGIN", MOVE, COPY, "COMMIT", MERGE), "a load outside of a transaction: MERGE INTO"),
        (seen("BEGIN", MOVE, COPY, "COMMIT", STATES), "a load outside of a transaction: MERGE INTO"),
        (seen("BEGIN", EMPTY, "COMMIT"), "the checkpoint does not come first, but: DELETE FROM"),
        (seen("BEGIN", MODE, "COMMIT"), "the checkpoint does not come first, but: UPDATE"),
        (seen(SHOW, MODE), "a mode is recorded without the checkpoint moved: UPDATE"),
        (seen(MOVE, SHOW, MODE, SHOW, MODE), "a mode is recorded without the checkpoint moved: UPDATE"),
        (seen(MOVE, COPY), "a load outside of a transaction: COPY INTO"),
    ],
)
def test_disorder_is_told(statements: list[Seen], phrase: str) -> None:
    (found,) = complaints(statements)
    assert found.startswith(f"session 1: {phrase}")
