"""Verification of a source that shows rows as they are when they are read: only what persists is a difference (J4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import pytest

from adapters.sources.polling.extractor import Extraction
from pipeline.application.sync import sync
from pipeline.application.verify import verify
from pipeline.ports.warehouse import Comparison
from tests.support import shelf
from tests.support.polled_rig import PolledRig
from tests.support.shelf import Shelf, ShelfExtractor


@attrs.define
class Busy:
    """Reads a shelf as ``how`` says, and lets something happen before every second reading: those that compare."""

    how: Callable[[ShelfExtractor, Mapping[str, str]], Extraction]
    happens: Callable[[int], None] = lambda _: None
    count: int = 0

    def __call__(self, extractor: ShelfExtractor, bookmarks: Mapping[str, str]) -> Extraction:
        self.count += 1
        if self.count % 2 == 0:
            self.happens(self.count // 2)
        return self.how(extractor, bookmarks)


def rig_of(how: Callable[[ShelfExtractor, Mapping[str, str]], Extraction]) -> tuple[PolledRig, Shelf, Busy]:
    """A shelf of five rows, loaded; from then on readings are counted."""
    held = Shelf()
    held.put(*({"id": number, "note": "before"} for number in range(1, 6)))
    busy = Busy(how)
    rig = PolledRig(extractor=ShelfExtractor(held, busy))
    sync(rig.session())
    busy.count = 0
    return rig, held, busy


def test_a_row_that_changes_before_it_is_compared_is_no_difference() -> None:
    rig, held, busy = rig_of(shelf.image)
    busy.happens = lambda number: held.put({"id": 3, "note": "meanwhile"}) if number == 1 else None
    result = verify(rig.session())
    assert [verdict.comparison for verdict in result.verdicts] == [Comparison(5, 0, 0, 0)]
    assert busy.count == 4
    assert rig.current() == [{"id": row["id"], "note": row["note"], "size": 0} for row in held.rows]


def test_a_table_that_is_never_still_is_no_difference() -> None:
    rig, held, busy = rig_of(shelf.image)
    busy.happens = lambda number: held.put({"id": number, "note": f"meanwhile {number}"})
    result = verify(rig.session())
    assert result.is_equal
    assert result.verdicts[0].repaired_count == 0


@pytest.mark.parametrize("repair", [False, True])
def test_a_row_that_looks_have_missed_is_told_among_others_that_move_and_mended_if_asked(repair: bool) -> None:
    rig, held, busy = rig_of(shelf.plain_changes)
    held.put({"id": 1, "note": "later"})
    held.rows.append({"id": 9, "note": "committed late", "size": 0, "at": 1})
    busy.happens = lambda number: held.put({"id": number, "note": f"meanwhile {number}"})
    result = verify(rig.session(), repair=repair)
    [verdict] = result.verdicts
    assert verdict.comparison is not None
    assert '{"id":9}' in verdict.comparison.keys
    assert verdict.comparison.missing_count == 1
    assert (9 in {row["id"] for row in rig.current()}) is repair
    assert result.is_equal is repair
    busy.happens = lambda _: None
    assert verify(rig.session()).is_equal is repair


def test_repairing_disturbs_no_later_look() -> None:
    rig, held, _ = rig_of(shelf.plain_changes)
    held.put({"id": 1, "note": "later"})
    held.rows.append({"id": 9, "note": "committed late", "size": 0, "at": 1})
    verify(rig.session(), repair=True)
    held.put({"id": 9, "note": "written anew"})
    sync(rig.session())
    assert rig.current() == [{"id": row["id"], "note": row["note"], "size": 0} for row in held.rows]
