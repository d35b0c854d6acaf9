"""Tells what changed at a source without a log: rows as they are shown now against the fingerprints of those before.

How they are remembered between looks is ``rowbookmarks``'s; how rows are read is a source's affair.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import pyarrow as pa

from pipeline.domain.bookmarks import NO_BOOKMARKS
from pipeline.domain.canonical import key_texts
from pipeline.domain.change import Misfit
from pipeline.domain.comparing import Compared, are_same, compare_rows
from pipeline.domain.errors import SourceRejected
from pipeline.domain.fingerprint import Halves, fingerprints, fingerprints_of_names
from pipeline.domain.fingerprintorder import (
    is_last_of_equals,
    joined,
    places,
    put_between,
    sorted_order,
)
from pipeline.domain.rowbookmarks import (
    CHUNK_ROWS,
    ROW,
    decoded_keys,
    forgotten_rows,
    has_null_key,
    remembered_rows,
    rows_of,
)
from pipeline.domain.schema import StreamSchema
from pipeline.domain.valuetext import TEXT, one_array

__all__ = ["ROW", "KnownRows", "Sifted", "refuse_vanished"]


@attrs.frozen(eq=False)
class Sifted:
    """Which rows are ``new`` or ``changed`` (masks), and what to remember of those."""

    new: np.ndarray
    changed: np.ndarray
    bookmarks: pa.Table


@attrs.frozen(eq=False)
class _Fresh:
    """Rows that were shown for the first time in this look."""

    hashes: Halves
    prints: Halves
    keys: pa.Array
    nameless: np.ndarray


class KnownRows:
    """The rows that a source showed so far; ``kept`` are the stream's bookmarks, others than those of rows included.

    A look is ``sift`` for each piece that is read, ``see`` for keys that are listed after ``list_again``, then
    ``vanish`` if all there is was shown, and ``settle`` at its end.
    """

    def __init__(self, kept: pa.Table) -> None:
        self._hashes, self._prints, self._keys = rows_of(kept)
        order = sorted_order(self._hashes)
        self._hashes, self._prints = self._hashes[:, order], self._prints[:, order]
        self._key_at = order.astype(np.uint32)
        self._fresh: list[_Fresh] = []
        self._seen = np.zeros(len(order), dtype=bool)
        self._seen_before = np.zeros(len(order), dtype=bool)  # by the reading before, of the same look
        self._repeated = False

    def __len__(self) -> int:
        return int(self._hashes.shape[1])

    @property
    def has_repeated(self) -> bool:
        """Whether a key was shown twice since the reading began, so that the source changed its pages meanwhile."""
        self._merge_fresh()
        return self._repeated

    @property
    def vanished_count(self) -> int:
        """How many known rows were not shown since the look, or the listing of keys, began."""
        return len(self) - int(np.count_nonzero(self._seen | self._seen_before))

    def compare(
        self,
        table: pa.Table,
        schema: StreamSchema,
        *,
        misfits: Sequence[Misfit] = (),
        before: Sequence[Halves] = (),
    ) -> Compared:
        """Compare rows (data columns of ``schema``) with those known.

        In a stream without a key a row is known by all of its values, and by how many equal ones were shown before it
        in this look: ``before`` are the fingerprints of rows that were.
        """
        return compare_rows(self._hashes, self._prints, table, schema, misfits=misfits, before=before)

    def sift(self, table: pa.Table, schema: StreamSchema, *, misfits: Sequence[Misfit] = ()) -> Sifted:
        """Compare rows with those known, and take note of them; the stream has a key."""
        compared = self.compare(table, schema, misfits=misfits)
        new = compared.new
        changed = compared.changed_keys(len(self))
        self._mark(compared.at[~new], compared.nameless[~new])
        self._prints[:, compared.at[changed]] = compared.prints[:, changed]
        told = new | changed
        hashes, prints = compared.hashes[:, told], compared.prints[:, told]
        keys = one_array(key_texts(table.filter(pa.array(told)), schema))
        first = new[told]
        if first.any():
            named = keys.filter(pa.array(first))
            self._fresh.append(_Fresh(hashes[:, first], prints[:, first], named, compared.nameless[told][first]))
        return Sifted(new, changed, remembered_rows(hashes, prints, keys))

    def list_again(self) -> None:
        """Begin a listing of the keys of all rows that there are: only those ``see`` is told of count as shown."""
        self._begin()

    def read_again(self) -> None:
        """Begin another reading of the same look: what either of them shows is there."""
        self._merge_fresh()
        self._begin(before=self._seen)

    def see(self, keys: pa.Table, schema: StreamSchema) -> None:
        """Take note that rows with these keys (key columns) are still there."""
        at, found = places(self._hashes, fingerprints(keys.select(schema.key)))
        self._mark(at[found], has_null_key(keys, schema)[found])

    def forget(self, keys: pa.Table, schema: StreamSchema) -> pa.Table:
        """Forget the rows with these keys (key columns), if they are known; what to forget of them."""
        return self._forget(fingerprints(keys.select(schema.key)))

    def forget_names(self, names: pa.StringArray) -> pa.Table:
        """The same for rows that have names instead of keys (see ``Misfit``)."""
        return self._forget(fingerprints_of_names(names))

    def _forget(self, hashes: Halves) -> pa.Table:
        self._merge_fresh()
        at, found = places(self._hashes, hashes)
        kept = np.ones(len(self), dtype=bool)
        kept[at[found]] = False
        forgotten = forgotten_rows(self._hashes[:, ~kept])
        self._keep(kept)
        return forgotten

    def vanish(self, schema: StreamSchema) -> tuple[pa.Table, pa.Table]:
        """Forget the rows that were not shown since the look, or the listing of keys, began: their keys (those that
        name a row), and what to forget of them.
        """
        shown = self._seen | self._seen_before
        gone = ~shown
        texts = self._keys.take(pa.array(self._key_at[gone]))
        forgotten = forgotten_rows(self._hashes[:, gone])
        keys = decoded_keys(texts, schema)
        self._keep(shown)
        return keys, forgotten

    def replace(self, hashes: Halves, prints: Halves) -> pa.Table:
        """Know these rows and no others, by their fingerprints alone; of a key given twice the later. What changes of
        the bookmarks thereby.
        """
        last = is_last_of_equals(hashes)
        hashes, prints = hashes[:, last], prints[:, last]
        at, found = places(self._hashes, hashes)
        same = are_same(self._prints, prints, at=at, found=found)
        gone = np.ones(len(self), dtype=bool)
        gone[at[found]] = False
        no_keys = pa.repeat(pa.scalar("", TEXT), int((~same).sum()))
        told = [forgotten_rows(self._hashes[:, gone]), remembered_rows(hashes[:, ~same], prints[:, ~same], no_keys)]
        order = sorted_order(hashes)
        self._hashes, self._prints = hashes[:, order], prints[:, order]
        self._keys = pa.chunked_array([pa.array([""], TEXT)])
        self._key_at = np.zeros(len(order), dtype=np.uint32)
        self._fresh = []
        self._begin()
        return pa.concat_tables(told)

    def settle(self) -> None:
        """End a look: what it showed first is known from now on."""
        self._merge_fresh()
        self._begin()

    def bookmarks(self) -> pa.Table:
        """Everything that is known, as bookmarks."""
        pieces = [NO_BOOKMARKS]
        for start in range(0, len(self), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            keys = one_array(self._keys.take(pa.array(self._key_at[part])))
            pieces.append(remembered_rows(self._hashes[:, part], self._prints[:, part], keys))
        return pa.concat_tables(pieces)

    def _begin(self, *, before: np.ndarray | None = None) -> None:
        self._seen_before = np.zeros(len(self), dtype=bool) if before is None else before
        self._seen = np.zeros(len(self), dtype=bool)
        self._repeated = False

    def _mark(self, at: np.ndarray, nameless: np.ndarray) -> None:
        """Rows at these places were shown; a name that was shown before is repeated."""
        named = at[~nameless] if nameless.any() else at
        if not self._repeated:
            ordered = np.sort(named)
            self._repeated = bool(self._seen[named].any() or (ordered[1:] == ordered[:-1]).any())
        self._seen[at] = True

    def _merge_fresh(self) -> None:
        if not self._fresh:
            return
        hashes = joined([fresh.hashes for fresh in self._fresh])
        prints = joined([fresh.prints for fresh in self._fresh])
        nameless = np.concatenate([fresh.nameless for fresh in self._fresh])
        first_key = len(self._keys)
        self._keys = pa.chunked_array([*self._keys.chunks, *(fresh.keys for fresh in self._fresh)], TEXT)
        self._fresh = []
        last = is_last_of_equals(hashes)
        self._repeated |= bool((~last & ~nameless).any())
        added = np.flatnonzero(last)
        order = added[sorted_order(hashes[:, added])]
        where, _ = places(self._hashes, hashes[:, order])
        self._hashes = np.stack([put_between(self._hashes[half], hashes[half][order], where) for half in range(2)])
        self._prints = np.stack([put_between(self._prints[half], prints[half][order], where) for half in range(2)])
        self._key_at = put_between(self._key_at, (first_key + order).astype(np.uint32), where)
        self._seen = put_between(self._seen, np.ones(len(order), dtype=bool), where)
        self._seen_before = put_between(self._seen_before, np.zeros(len(order), dtype=bool), where)

    def _keep(self, mask: np.ndarray) -> None:
        self._hashes, self._prints = self._hashes[:, mask], self._prints[:, mask]
        self._key_at, self._seen = self._key_at[mask], self._seen[mask]
        self._seen_before = self._seen_before[mask]
        if len(self._keys) > 2 * len(self) + CHUNK_ROWS:
            self._keys = self._keys.take(pa.array(self._key_at))
            self._key_at = np.arange(len(self), dtype=np.uint32)


def refuse_vanished(vanished_count: int, known_count: int, *, max_share: float, where: str) -> None:
    """Raise ``SourceRejected`` where more rows are gone than one would believe: a source that shows half of what it
    has must not empty a table.
    """
    if vanished_count == 0 or vanished_count <= max_share * known_count:
        return
    raise SourceRejected(
        f"{vanished_count:,} of {known_count:,} rows are gone from the source, more than {max_share:.0%}; "
        "nothing was deleted",
        where=where,
        hint="If they are rightly gone, copy the stream again by resync, or raise its max_vanished.",
        case="vanished",
        vanished_count=vanished_count,
        known_count=known_count,
    )
