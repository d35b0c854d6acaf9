"""Bookmarks are appended; folding deletes what is outlived and nothing else, while other groups append."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from adapters.warehouses.snowflake import bookmarks as kept
from adapters.warehouses.snowflake import build
from adapters.warehouses.snowflake.options import parse
from adapters.warehouses.snowflake.session import Session, open_session
from adapters.warehouses.snowflake.statement import Statement
from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from pipeline.domain.bookmarks import bookmarks, plain_bookmarks
from pipeline.domain.checkpoint import Checkpoint
from tests.conformance.warehouse_ground import FIRST, GROUP, following
from tests.support.emulator import Emulator

OTHER = attrs.evolve(FIRST, group="other")


@pytest.fixture
def warehouse(emulator: Emulator, database: str) -> Iterator[SnowflakeWarehouse]:
    made = build("warehouse", emulator.options(database))
    for first in (FIRST, OTHER):
        made.setup(first.group)
        made.begin(first)
    yield made
    made.close()


@pytest.fixture
def session(emulator: Emulator, database: str) -> Iterator[Session]:
    """A session of its own, to look at the table and to delete in it."""
    opened = open_session(parse("another", emulator.options(database)))
    yield opened
    opened.close()


def remember(warehouse: SnowflakeWarehouse, after: Checkpoint, **values: str | None) -> Checkpoint:
    with warehouse.load(after, following(after)) as opened:
        opened.remember("people", bookmarks(values))
        opened.commit({})
    return following(after)


def rows(session: Session) -> list[tuple[object, ...]]:
    text = 'SELECT "GROUP", "NAME", "VALUE", "LOAD"::NUMBER FROM "PIPELINE"."BOOKMARKS" ORDER BY 1, 2, 4'
    return [(group, name, value, int(load)) for group, name, value, load in session.rows(Statement(text))]


def test_folding_leaves_the_latest_of_each_name_and_nothing_of_what_was_forgotten(
    warehouse: SnowflakeWarehouse, session: Session
) -> None:
    first = remember(warehouse, FIRST, a="1", b="1", gone="1", back="1")
    second = remember(warehouse, first, a="2", gone=None, back=None)
    remember(warehouse, second, back="3")
    remember(warehouse, OTHER, a="7")
    told = plain_bookmarks(warehouse.bookmarks(GROUP, "people"))
    session.execute(kept.fold(GROUP, "people"))
    assert rows(session) == [
        ("other", "a", "7", 1),
        (GROUP, "a", "2", 2),
        (GROUP, "b", "1", 1),
        (GROUP, "back", "3", 3),
    ]
    assert plain_bookmarks(warehouse.bookmarks(GROUP, "people")) == told == {"a": "2", "b": "1", "back": "3"}
    session.execute(kept.fold(GROUP, "people"))
    assert len(rows(session)) == 4


def test_a_load_that_folds_moves_its_own_bookmarks_too(
    warehouse: SnowflakeWarehouse, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = remember(warehouse, FIRST, a="1", b="1")
    after = remember(warehouse, after, a="2")
    monkeypatch.setattr(kept, "FOLD_EVERY", 1)
    remember(warehouse, after, a="3", b=None)
    assert plain_bookmarks(warehouse.bookmarks(GROUP, "people")) == {"a": "3"}
    # what this load outlives is left for the next one that folds
    assert rows(session) == [(GROUP, "a", "2", 2), (GROUP, "a", "3", 3), (GROUP, "b", "1", 1), (GROUP, "b", None, 3)]


def test_other_groups_append_while_a_load_that_folds_is_open(warehouse: SnowflakeWarehouse, session: Session) -> None:
    after = remember(warehouse, FIRST, a="1")
    remember(warehouse, after, a="2")
    with session.transaction():
        session.execute(kept.fold(GROUP, "people"))
        remember(warehouse, OTHER, a="7")
    assert rows(session) == [("other", "a", "7", 1), (GROUP, "a", "2", 2)]
