"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest

from entrypoints.units import byte_count, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("200ms", 0.2), ("10s", 10.0), ("1m30s", 90.0), ("1.5h", 5400.0), ("2d", 172800.0), (7, 7.0), ("0s", 0.0)],
)
def test_a_duration_is_read_in_seconds(text: str | float, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "10", "10 s", "10sec", "s", "-1s", "10s!"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("1B", 1), ("64MB", 67108864), ("1.5 KB", 1536), ("2GB", 2147483648), (9, 9)]
)
def test_a_size_is_read_in_bytes(text: str | int, expected: int) -> None:
    assert byte_count(text) == expected


@pytest.mark.parametrize("text", ["", "64", "64mb", "64 M", "-1MB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        byte_count(text)
