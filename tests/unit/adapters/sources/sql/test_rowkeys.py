"""Keys made of whole rows."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from adapters.sources.sql.rowkeys import RowKeys
from pipeline.domain.fingerprint import fingerprints, hexadecimal

ROWS = st.lists(st.tuples(st.integers(0, 3) | st.none(), st.sampled_from(["a", "b"])), max_size=40)


@given(ROWS, st.lists(st.integers(1, 9)))
def test_each_row_is_numbered_among_its_equals_however_it_is_read(
    rows: list[tuple[int | None, str]], cuts: list[int]
) -> None:
    table = pa.table(
        {"a": pa.array([a for a, _ in rows], pa.int64()), "b": pa.array([b for _, b in rows], pa.string())}
    )
    keys, made, start = RowKeys(), [], 0
    for size in [*cuts, len(rows)]:
        made += keys.of(table.slice(start, size), ()).to_pylist()
        start += size
    made = made[: len(rows)]

    seen: Counter[tuple[int | None, str]] = Counter()
    expected = []
    for row, text in zip(rows, hexadecimal(fingerprints(table)).to_pylist(), strict=True):
        seen[row] += 1
        expected.append(f"{text}-{seen[row]}")
    assert made == expected
    assert len(set(made)) == len(rows)
