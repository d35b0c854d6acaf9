"""What may be large is read in pages and written in pieces, and comes out as if it were read in one go (P11)."""

from __future__ import annotations

import re

import attrs
import pytest

from adapters.warehouses.snowflake import rebuild, renames
from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from pipeline.domain.loading import Migration
from pipeline.domain.renaming import ordered_renames
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import Mode
from tests.conformance.warehouse_ground import (
    GROUP,
    PEOPLE,
    create,
    following,
    load,
    quarantine_rows,
    target_for,
)
from tests.support.emulator import Emulator
from tests.support.tables import content
from tests.support.told import Log


def statements(emulator: Emulator, database: str, pattern: str, *, since: int) -> list[str]:
    return [each.text for each in emulator.seen(database)[since:] if re.match(pattern, each.text)]


@pytest.mark.parametrize("piece_rows", [1, 3, 4, 1000])
def test_a_rebuild_is_the_same_in_pages_of_any_size_and_no_result_outlives_its_page(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, piece_rows: int
) -> None:
    former, log = create(warehouse, target_for()), Log()
    after = load(warehouse, former, [log.insert(id=number, name="a") for number in range(4)])
    after = load(warehouse, former, [log.commit().update(id=1, name="b"), log.delete(id=2)], after=after)
    log = Log(lsn=500)
    copied = [log.snapshot(id=number, name="copied") for number in range(1, 3)]
    after = load(warehouse, former, copied, after=after, is_copy=True)
    after = load(warehouse, former, [log.commit().update(id=1, name="c"), log.insert(id=9, name="d")], after=after)
    since, target = len(emulator.seen(database)), target_for(Mode.HISTORY)
    rebuild.rebuild(warehouse._sessions, after, after.claimed(), target, piece_rows=piece_rows)
    versions = warehouse.rows(target).select(["id", "name", "_cdc_current"])
    assert sorted(versions.to_pylist(), key=str) == [
        {"id": 0, "name": "a", "_cdc_current": False},
        {"id": 1, "name": "a", "_cdc_current": False},
        {"id": 1, "name": "b", "_cdc_current": False},
        {"id": 1, "name": "c", "_cdc_current": True},
        {"id": 1, "name": "copied", "_cdc_current": False},
        {"id": 2, "name": "a", "_cdc_current": False},
        {"id": 2, "name": "copied", "_cdc_current": True},
        {"id": 3, "name": "a", "_cdc_current": False},
        {"id": 9, "name": "d", "_cdc_current": True},
    ]
    reads = statements(emulator, database, r'SELECT .* FROM "CHANGELOG"', since=since)
    assert [text.endswith(f" LIMIT {piece_rows}") for text in reads] == [True] * (10 // piece_rows + 1)


@pytest.mark.parametrize("page_rows", [1, 2, 5, 1000])
def test_names_within_any_number_of_rows_are_changed_page_by_page_and_all_together(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, monkeypatch: pytest.MonkeyPatch, page_rows: int
) -> None:
    monkeypatch.setattr(renames, "PAGE_ROWS", page_rows)
    target, log = create(warehouse, target_for()), Log()
    after = load(warehouse, target, [log.insert(id=number, name="a") for number in range(5)])
    moves = [log.update(id=10 + number, old_key={"id": number}, unchanged=("name",)) for number in range(5)]
    after = load(warehouse, target, moves, after=after)
    with warehouse.load(after, following(after)) as opened:
        opened.quarantine(target, quarantine_rows(*((number, 1000 + number) for number in range(5))))
        opened.commit({})
    after = following(after)
    before = warehouse.changelog(target)
    wishes = [*zip(PEOPLE.columns, ("name", "id"), strict=True)]  # they change places
    swapped = StreamSchema([attrs.evolve(column, name=name) for column, name in wishes], key=("name",))
    renamed = target_for(schema=swapped, version=2)
    since = len(emulator.seen(database))
    warehouse.migrate(after, [Migration(renamed, PEOPLE, ordered_renames(wishes))])
    found = warehouse.changelog(renamed)
    assert found["_cdc_unchanged"].to_pylist() == [None] * 5 + [["id"]] * 5
    assert found["_cdc_old_key"].to_pylist() == [None] * 5 + [{"name": number} for number in range(5)]
    assert sorted(warehouse.quarantined(renamed)["key"].to_pylist()) == [f'{{"name":{number}}}' for number in range(5)]
    texts = statements(emulator, database, ".*", since=since)
    begun = texts.index("BEGIN")
    pages = -(-5 // page_rows)
    assert [text.partition('"')[0] for text in texts[begun : begun + 2 * pages + 3]] == [
        "BEGIN",
        *["MERGE INTO "] * 2 * pages,
        "INSERT INTO ",
        "COMMIT",
    ]
    warehouse.setup(GROUP)  # undoes it
    assert content(warehouse.changelog(target)) == content(before)
