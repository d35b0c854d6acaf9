"""How far the looks at a stream have come by its cursor, and which rows the next one may show again.

What those rows were is ``pipeline.domain.detection``'s to tell; reading them is an extractor's affair.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.sources.polling.extractor import Window
from pipeline.domain.bookmarks import NO_BOOKMARKS
from pipeline.domain.canonical import decode_values
from pipeline.domain.comparing import Compared
from pipeline.domain.detection import KnownRows
from pipeline.domain.schema import StreamSchema
from pipeline.domain.valuetext import literals, one_array

#: The bookmarks of a window: the highest value of its cursor, and where the next look begins.
CURSOR, SINCE = "cursor", "since"

#: Values of a cursor's columns in order, or of the first few of them; empty: none yet.
Values = tuple[pa.Scalar, ...]


@attrs.frozen(eq=False)
class _Shown:
    """Rows that a look has shown: their cursors, and the fingerprints of their keys and of themselves."""

    cursors: pa.Table
    hashes: np.ndarray
    prints: np.ndarray

    def not_before(self, since: Values) -> _Shown:
        """Those that a look from ``since`` on shows again, rows without a cursor included."""
        mask = not_before(self.cursors, since)
        return _Shown(self.cursors.filter(pa.array(mask)), self.hashes[:, mask], self.prints[:, mask])


class Cursor:
    """Follows one look; ``since`` is the bookmark of where it began, before which the next one never begins."""

    def __init__(self, window: Window, schema: StreamSchema, *, since: str | None = None) -> None:
        self._window = window
        self._types = [schema.column(name).type for name in window.columns]
        self._began = () if window.is_anew else values_of(since, self._types)
        self._highest: Values = ()
        self._shown: list[_Shown] = []
        # Of rows without a key all equal ones have to be counted, wherever in the look they are shown.
        self._counts = not schema.key and not window.is_ordered

    @property
    def shown_prints(self) -> list[np.ndarray]:
        """The fingerprints of the rows that were noted and that the next look may show again."""
        return [shown.prints for shown in self._shown]

    def note(self, rows: pa.Table, compared: Compared) -> None:
        """Keep the fingerprints of rows that are shown, for as long as the next look may show them again."""
        self._shown.append(_Shown(rows.select(self._window.columns), compared.hashes, compared.prints))

    def advance(self, rows: pa.Table) -> None:
        """Take note of how far these rows reach."""
        highest = self._lowered(_highest(rows.select(self._window.columns)))
        if highest and (not self._highest or is_after(highest, self._highest)):
            self._highest = highest
        if not self._counts:
            self._leave_out()

    def place(self) -> dict[str, str | None]:
        """Where the next look begins."""
        if not self._highest:
            return {}
        return {CURSOR: self._text(self._highest), SINCE: self._text(self._since())}

    def window_rows(self, known: KnownRows) -> pa.Table:
        """Know the rows that the next look may show again, and no others; what changes of the bookmarks."""
        self._leave_out()
        if not self._shown:
            return NO_BOOKMARKS
        return known.replace(
            np.concatenate([shown.hashes for shown in self._shown], axis=1),
            np.concatenate([shown.prints for shown in self._shown], axis=1),
        )

    def _leave_out(self) -> None:
        """Forget rows that the next look will not show."""
        if self._highest:
            since = self._since()
            self._shown = [kept for shown in self._shown if (kept := shown.not_before(since)).hashes.size]

    def _lowered(self, highest: Values) -> Values:
        """The highest values, or the source's clock where they lie in its future."""
        if self._window.ceiling is None or not highest:
            return highest
        ceiling = self._window.ceiling.cast(self._types[0])
        return (ceiling,) if pc.greater(highest[0], ceiling).as_py() else highest

    def _since(self) -> Values:
        since = self._highest
        if self._window.overlap is not None and len(since) == len(self._types):
            since = (*since[:-1], pc.subtract(since[-1], self._window.overlap).cast(self._types[-1]))
        return self._began if self._began and is_after(self._began, since) else since

    def _text(self, values: Values) -> str:
        texts = [literal_of(value) for value in values]
        return f"[{','.join(texts)}]" if self._window.before else texts[0]


def is_after(left: Values, right: Values) -> bool:
    """Whether ``left`` comes after ``right``; of two that agree as far as both go, the longer one does."""
    for ours, theirs in zip(left, right, strict=False):
        if not ours.equals(theirs):
            return bool(pc.greater(ours, theirs).as_py())
    return len(left) > len(right)


def values_of(literal: str | None, kinds: Sequence[pa.DataType]) -> Values:
    """The values of a bookmark that a window over columns of these types left; empty where it is none of them."""
    if literal is None:
        return ()
    try:
        texts = [literal] if len(kinds) == 1 else _members(literal)
        return tuple(scalar_of(text, kind) for text, kind in zip(texts, kinds, strict=False))
    except (ValueError, TypeError, ArithmeticError):
        return ()


def literal_of(value: pa.Scalar) -> str:
    """A value as a window's bookmark has it."""
    return str(one_array(literals(pa.array([value.as_py()], value.type)))[0].as_py())


def scalar_of(literal: str, kind: pa.DataType) -> pa.Scalar:
    """The value of a bookmark that a window left; raises ``ValueError`` for one that is none of ``kind``."""
    return decode_values(kind, [literal])[0]


def _members(literal: str) -> list[str]:
    documents = json.loads(literal, parse_float=str, parse_int=str)
    if not isinstance(documents, list) or None in documents:
        raise ValueError("no cursor of several columns")
    return [json.dumps(document) for document in documents]


def _highest(cursors: pa.Table) -> Values:
    """The highest cursor of rows that have one, by its columns in order."""
    values: list[pa.Scalar] = []
    for name in cursors.column_names:
        cursors = cursors.filter(cursors[name].is_valid())
    for name in cursors.column_names:
        highest = pc.max(cursors[name])
        if not highest.is_valid:
            return ()
        values.append(highest)
        if name != cursors.column_names[-1]:
            cursors = cursors.filter(pc.equal(cursors[name], highest))
    return tuple(values)


def not_before(cursors: pa.Table, since: Values) -> np.ndarray:
    """Which rows do not come before ``since``; those that lack a value of their cursor never do."""
    count = cursors.num_rows
    after, same = np.zeros(count, dtype=bool), np.ones(count, dtype=bool)
    missing = np.zeros(count, dtype=bool)
    for name in cursors.column_names:
        missing |= _mask(cursors[name].is_null())
    for name, value in zip(cursors.column_names, since, strict=False):
        after |= same & _mask(pc.greater(cursors[name], value))
        same &= _mask(pc.equal(cursors[name], value))
    return missing | after | same


def _mask(values: pa.ChunkedArray) -> np.ndarray:
    mask: np.ndarray = one_array(pc.fill_null(values, False)).to_numpy(zero_copy_only=False)
    return mask
