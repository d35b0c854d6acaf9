"""Tuples of many row changes of one relation, walked column by column for all rows at once.

A tuple is a count of columns, then for each its kind (``n`` null, ``u`` unchanged and left out, ``t`` text) and, for
text, its length and bytes. What the texts mean is ``values``'.
"""

from __future__ import annotations

from functools import lru_cache

import attrs
import numpy as np
import pyarrow as pa

from adapters.sources.postgres.frames import Frames, malformed

_NULL, _UNCHANGED, _TEXT = b"nut"


@attrs.frozen(eq=False)
class Field:
    """One column of many tuples: where each row's text begins and ends in the buffer, and which rows have none.

    ``absent`` marks rows without a text (None: all have one), ``unchanged`` those of them whose value was left out.
    """

    start: np.ndarray
    end: np.ndarray
    absent: np.ndarray | None = None
    unchanged: np.ndarray | None = None

    def at(self, rows: np.ndarray) -> Field:
        """The field of some rows only (ascending indices)."""
        return Field(
            self.start[rows],
            self.end[rows],
            None if self.absent is None else self.absent[rows],
            None if self.unchanged is None else self.unchanged[rows],
        )

    def merge(self, rows: np.ndarray, newer: Field) -> Field:
        """``newer`` in place of this one at ``rows``, except where it left out a value that this one has."""
        kept = np.zeros(len(rows), dtype=bool)
        if newer.unchanged is not None:
            kept = newer.unchanged if self.absent is None else newer.unchanged & ~self.absent[rows]
        taken = ~kept
        target = rows[taken]
        start, end = self.start.copy(), self.end.copy()
        start[target], end[target] = newer.start[taken], newer.end[taken]
        return Field(
            start,
            end,
            _merge_marks(self.absent, newer.absent, target=target, taken=taken, size=len(start)),
            _merge_marks(self.unchanged, newer.unchanged, target=target, taken=taken, size=len(start)),
        )

    def texts(self, frames: Frames) -> pa.Array:
        """The texts as a string array (their encoding not yet checked)."""
        count = len(self.start)
        # Values and the gaps between them, alternating, are one binary array over the whole buffer; taking every
        # other element copies the values together without an object or an index per byte.
        offsets = np.empty(2 * count, dtype=np.int32)
        offsets[0::2] = self.start
        offsets[1::2] = self.end
        between = pa.Array.from_buffers(
            pa.binary(), max(2 * count - 1, 0), [None, pa.py_buffer(offsets), frames.buffer]
        )
        taken = between.take(_every_other(count))
        _, ends, data = taken.buffers()
        present = None
        if self.absent is not None:
            present = pa.py_buffer(np.packbits(~self.absent, bitorder="little"))
        return pa.Array.from_buffers(pa.string(), count, [present, ends, data])


def walk(frames: Frames, at: np.ndarray, *, wanted: tuple[bool, ...]) -> tuple[list[Field | None], np.ndarray]:
    """The fields of the tuples that begin at ``at``, None where not wanted, and where each tuple ends.

    Raises ``SourceError`` if a tuple has another number of columns or a value in binary format.
    """
    counts = frames.words(at) >> 16
    if (counts != len(wanted)).any():
        raise malformed("a row has another number of columns than its relation")
    position = at + 2
    fields: list[Field | None] = []
    for is_wanted in wanted:
        field = _field(frames, position)
        position = field.end
        fields.append(field if is_wanted else None)
    return fields, position


def _field(frames: Frames, position: np.ndarray) -> Field:
    kinds = frames.bytes[position]
    is_text = kinds == _TEXT
    if is_text.all():
        start = position + 5
        return Field(start, start + frames.words(position + 1))
    unchanged = kinds == _UNCHANGED
    if not (is_text | unchanged | (kinds == _NULL)).all():
        raise malformed("a value is not in text format")
    start = position + np.where(is_text, 5, 1)
    end = start + np.where(is_text, frames.words(position + 1), 0)
    return Field(start, end, ~is_text, unchanged if unchanged.any() else None)


def _merge_marks(
    older: np.ndarray | None, newer: np.ndarray | None, *, target: np.ndarray, taken: np.ndarray, size: int
) -> np.ndarray | None:
    if older is None and newer is None:
        return None
    marks = np.zeros(size, dtype=bool) if older is None else older.copy()
    marks[target] = False if newer is None else newer[taken]
    return marks


def _every_other(count: int) -> pa.Array:
    return _even_numbers(max(count - 1, 1).bit_length()).slice(0, count)


@lru_cache
def _even_numbers(bits: int) -> pa.Array:
    return pa.array(np.arange(0, 2 << bits, 2, dtype=np.int64))
