"""Which loads fold bookmarks: one in so many, whatever the rhythm of a stream's loads, and not all streams at once."""

from __future__ import annotations

import pytest

from adapters.warehouses.snowflake.bookmarks import FOLD_EVERY, folds


@pytest.mark.parametrize("rhythm", [1, 2, 256])
def test_one_load_in_so_many_folds_whatever_loads_a_stream_has_a_part_in(rhythm: int) -> None:
    loads = range(1, 100 * FOLD_EVERY * rhythm, rhythm)
    assert 60 < sum(folds("shop", "people", load) for load in loads) < 140


def test_streams_fold_in_different_loads() -> None:
    folding = [{load for load in range(50_000) if folds("shop", stream, load)} for stream in ("people", "orders")]
    assert len(folding[0] & folding[1]) < 10
