"""P3: what was read ends somewhere that can be named."""

from __future__ import annotations

import attrs
import pytest

from pipeline.domain.counts import StreamCounts, add_counts

BALANCED = StreamCounts(
    read_count=10,
    changelog_count=6,
    quarantined_count=2,
    covered_count=1,
    discarded_count=1,
    applied_count=4,
    compacted_count=2,
    warned_count=9,
    misfit_count=9,
)


def test_counts_balance_when_every_change_ends_once() -> None:
    assert StreamCounts().is_balanced
    assert BALANCED.is_balanced


@pytest.mark.parametrize(
    "name", [field.name for field in attrs.fields(StreamCounts) if field.name not in {"warned_count", "misfit_count"}]
)
def test_one_change_too_many_anywhere_is_noticed(name: str) -> None:
    assert not attrs.evolve(BALANCED, **{name: getattr(BALANCED, name) + 1}).is_balanced


def test_counts_add_up_field_by_field() -> None:
    total = BALANCED + BALANCED
    assert attrs.asdict(total) == {name: 2 * count for name, count in attrs.asdict(BALANCED).items()}
    assert BALANCED + StreamCounts() == BALANCED


def test_counts_add_up_stream_by_stream() -> None:
    total = {"a": BALANCED, "b": BALANCED}
    add_counts(total, {"b": BALANCED, "c": StreamCounts.covered(3)})
    assert total == {"a": BALANCED, "b": BALANCED + BALANCED, "c": StreamCounts(read_count=3, covered_count=3)}
