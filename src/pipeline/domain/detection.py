"""Tells what changed at a source without a log: rows as they are shown now against the fingerprints of those before.

Fingerprints are remembered as bookmarks (``bookmarks``): the name is the fingerprint of a row's key, the value that of
the whole row and the key itself, so that a row that is gone can still be named. How rows are read is a source's affair.
"""

from __future__ import annotations

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.bookmarks import BOOKMARK_SCHEMA
from pipeline.domain.canonical import decode_rows, key_texts
from pipeline.domain.errors import SourceRejected
from pipeline.domain.fingerprint import fingerprints, hexadecimal
from pipeline.domain.schema import StreamSchema
from pipeline.domain.valuetext import one_array

#: What the names of remembered rows begin with.
ROW = "row:"

_DIGITS = 32


@attrs.frozen(eq=False)
class Compared:
    """Rows next to those known: fingerprints of keys and rows, where the known row stands, and which are ``new`` or
    ``changed`` (masks).
    """

    hashes: np.ndarray
    prints: np.ndarray
    at: np.ndarray
    new: np.ndarray
    changed: np.ndarray


@attrs.frozen(eq=False)
class Sifted:
    """Which rows are ``new`` or ``changed`` (masks), and what to remember of those."""

    new: np.ndarray
    changed: np.ndarray
    bookmarks: pa.Table


class KnownRows:
    """The rows that a source showed so far; ``kept`` are the stream's bookmarks, others than those of rows included."""

    def __init__(self, kept: pa.Table) -> None:
        ours = kept.filter(pc.starts_with(kept["name"], pattern=ROW))
        self._hashes = _halves(pc.utf8_slice_codeunits(one_array(ours["name"]), len(ROW)))
        values = one_array(ours["value"])
        self._prints = _halves(pc.utf8_slice_codeunits(values, 0, _DIGITS))
        self._keys = pc.utf8_slice_codeunits(values, _DIGITS).cast(pa.large_string())
        self._sort()
        self._fresh: list[tuple[np.ndarray, np.ndarray, pa.Array]] = []
        self._seen = np.zeros(len(self._hashes), dtype=bool)
        self._repeated = False

    def __len__(self) -> int:
        return len(self._hashes)

    @property
    def has_repeated(self) -> bool:
        """Whether a key was shown twice since the look began, so that the source changed its pages meanwhile."""
        fresh = [hashes[:, 0] for hashes, _, _ in self._fresh]
        numbers = np.concatenate(fresh) if fresh else np.empty(0, np.uint64)
        return self._repeated or len(np.unique(numbers)) < len(numbers)

    def compare(self, table: pa.Table, schema: StreamSchema) -> Compared:
        """Compare rows (data columns of ``schema``) with those known."""
        hashes = _halves(fingerprints(table.select(schema.key)))
        prints = _halves(fingerprints(table.select(schema.names)))
        at, found = self._places(hashes)
        changed = found.copy()
        changed[found] = (self._prints[at[found]] != prints[found]).any(axis=1)
        return Compared(hashes, prints, at, ~found, changed)

    def sift(self, table: pa.Table, schema: StreamSchema) -> Sifted:
        """Compare rows with those known, and take note of them."""
        compared = self.compare(table, schema)
        hashes, prints, at = compared.hashes, compared.prints, compared.at
        new, changed = compared.new, compared.changed
        known = at[~new]
        self._repeated |= bool(self._seen[known].any()) or len(np.unique(known)) < len(known)
        self._seen[known] = True
        self._prints[at[changed]] = prints[changed]
        if new.any():
            keys = one_array(key_texts(table.filter(pa.array(new)), schema))
            self._fresh.append((hashes[new], prints[new], keys))
        told = new | changed
        keys = key_texts(table.filter(pa.array(told)), schema)
        return Sifted(new, changed, _remembered(hashes[told], prints[told], one_array(keys)))

    def see(self, keys: pa.Table, schema: StreamSchema) -> None:
        """Take note that rows with these keys (key columns) are still there."""
        at, found = self._places(_halves(fingerprints(keys.select(schema.key))))
        self._seen[at[found]] = True

    def vanished(self, schema: StreamSchema) -> tuple[pa.Table, pa.Table]:
        """The keys of known rows that were not shown since the look began, and what to forget of them."""
        gone = ~self._seen
        names = _names(self._hashes[gone])
        forgotten = pa.table([names, pa.nulls(len(names), pa.string())], schema=BOOKMARK_SCHEMA)
        return decoded_keys(self._keys.filter(pa.array(gone)), schema), forgotten

    def forget_unseen(self) -> pa.Table:
        """Forget the rows that were not shown since the look began; what to forget of them."""
        gone = ~self._seen
        names = _names(self._hashes[gone])
        self._keep(self._seen)
        return pa.table([names, pa.nulls(len(names), pa.string())], schema=BOOKMARK_SCHEMA)

    def replace(self, hashes: np.ndarray, prints: np.ndarray) -> pa.Table:
        """Know these rows and no others, by their fingerprints alone; of a key given twice the later. What changes of
        the bookmarks thereby.
        """
        hashes, prints = _last_of_each(hashes, prints)
        at, found = self._places(hashes)
        same = found.copy()
        same[found] = (self._prints[at[found]] == prints[found]).all(axis=1)
        gone = np.ones(len(self._hashes), dtype=bool)
        gone[at[found]] = False
        forgotten = _names(self._hashes[gone])
        names = pa.concat_arrays([forgotten, _names(hashes[~same])])
        values = pa.concat_arrays([pa.nulls(len(forgotten), pa.string()), hexadecimal(prints[~same])])
        self._hashes, self._prints = hashes, prints
        self._keys = pa.repeat(pa.scalar("", pa.large_string()), len(hashes))
        self._sort()
        return pa.table([names, values], schema=BOOKMARK_SCHEMA)

    def settle(self) -> None:
        """End a look: what it showed first is known from now on."""
        if self._fresh:
            self._hashes = np.concatenate([self._hashes, *(hashes for hashes, _, _ in self._fresh)])
            self._prints = np.concatenate([self._prints, *(prints for _, prints, _ in self._fresh)])
            self._keys = pa.concat_arrays([self._keys, *(keys for _, _, keys in self._fresh)])
            self._fresh = []
            self._keep(_is_last(self._hashes))
            self._sort()
        self._seen = np.zeros(len(self._hashes), dtype=bool)
        self._repeated = False

    def bookmarks(self) -> pa.Table:
        """Everything that is known, as bookmarks."""
        return _remembered(self._hashes, self._prints, self._keys)

    def _places(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where rows of these keys stand, and whether they are there."""
        at = np.searchsorted(self._hashes[:, 0], hashes[:, 0])
        inside = at < len(self._hashes)
        at[~inside] = 0
        found = inside & (self._hashes[at] == hashes).all(axis=1) if len(self._hashes) else inside
        return at, found

    def _sort(self) -> None:
        order = np.argsort(self._hashes[:, 0], kind="stable")
        self._hashes, self._prints = self._hashes[order], self._prints[order]
        self._keys = self._keys.take(pa.array(order))

    def _keep(self, mask: np.ndarray) -> None:
        self._hashes, self._prints = self._hashes[mask], self._prints[mask]
        self._keys = self._keys.filter(pa.array(mask))
        self._seen = np.ones(len(self._hashes), dtype=bool)


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


def decoded_keys(texts: pa.Array, schema: StreamSchema) -> pa.Table:
    """The key columns of keys in canonical JSON."""
    columns = [schema.column(name) for name in schema.key]
    decoded = decode_rows(StreamSchema(tuple(columns)), texts.to_pylist())
    return decoded.table.select(schema.key)


def _remembered(hashes: np.ndarray, prints: np.ndarray, keys: pa.Array) -> pa.Table:
    values = pc.binary_join_element_wise(hexadecimal(prints), keys.cast(pa.string()), "")
    return pa.table([_names(hashes), values], schema=BOOKMARK_SCHEMA)


def _is_last(hashes: np.ndarray) -> np.ndarray:
    """Which of the rows are the last ones of their keys."""
    _, last = np.unique(hashes[::-1, 0], return_index=True)
    mask = np.zeros(len(hashes), dtype=bool)
    mask[len(mask) - 1 - last] = True
    return mask


def _last_of_each(hashes: np.ndarray, prints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mask = _is_last(hashes)
    return hashes[mask], prints[mask]


def _names(hashes: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(ROW), hexadecimal(hashes), "")


def _halves(texts: pa.Array) -> np.ndarray:
    """Fingerprints, 32 hexadecimal digits each, as pairs of numbers."""
    array = texts.cast(pa.string())
    if len(array) == 0:
        return np.empty((0, 2), dtype=np.uint64)
    start = int(np.frombuffer(array.buffers()[1], dtype=np.int32)[array.offset])
    digits = np.frombuffer(array.buffers()[2], dtype=np.uint8)[start : start + _DIGITS * len(array)]
    values = np.where(digits >= ord("a"), digits - (ord("a") - 10), digits - ord("0")).astype(np.uint8)
    octets = (values[0::2] << 4 | values[1::2]).reshape(-1, 16)
    return np.ascontiguousarray(octets).view(">u8").astype(np.uint64)
