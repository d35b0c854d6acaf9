"""Fingerprints of rows: 128 bits from all values of a row, computed column by column.

Equal rows have equal fingerprints, whatever the order of their columns, the widths of their numbers, or how Arrow holds
them; a null counts for nothing, so that a column that was added and is still empty changes no row. Rows that differ
have different fingerprints but for chance (about 2**-120 for each pair). They tell what changed between two looks at a
source, not what somebody forged: no cryptography is meant.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.change import Misfit
from pipeline.domain.valuetext import is_binary, is_text, one_array, plain, texts

#: Pairs of unsigned 64-bit numbers, one pair a row: an array of shape (2, rows).
Halves = np.ndarray

_SEEDS = np.array([[0x9E3779B97F4A7C15], [0xD1B54A32D192ED03]], dtype=np.uint64)
#: So many rows are looked at together: few enough that what is computed of them stays near the processor.
_CHUNK_ROWS = 16_384
#: Longer values are hashed one by one: each costs more than the call does.
_LONG_BYTES = 512
#: By how many of its bytes, 0 to 8, are left of a value: which bits of a word belong to it.
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(9)], dtype=np.uint64)
_NAN = np.array(np.nan).view(np.uint64)
_HEX = np.frombuffer(b"".join(b"%02x" % octet for octet in range(256)), dtype=np.uint16)
_DIGITS = 32


def fingerprints(table: pa.Table, *, misfits: Iterable[Misfit] = ()) -> Halves:
    """The fingerprint of each row. A value that is null only since its type cannot hold it counts by its text."""
    return fingerprints_of_keys_and_rows(table, (), misfits=misfits)[1]


def fingerprints_of_keys_and_rows(
    table: pa.Table, key: Collection[str], *, misfits: Iterable[Misfit] = ()
) -> tuple[Halves, Halves]:
    """The fingerprints of the columns in ``key``, misfits left out, and those of whole rows."""
    sums = np.repeat(_SEEDS, table.num_rows, axis=1)
    for name in key:
        _add(sums, table[name], _seeds(name))
    keys = _mixed(sums)
    for name in table.column_names:
        if name not in key:
            _add(sums, table[name], _seeds(name))
    for misfit in misfits:
        lanes = np.zeros((2, len(misfit.rows)), dtype=np.uint64)
        _add(lanes, pc.fill_null(misfit.texts, ""), _seeds(misfit.column + "\0misfit"))
        sums[:, misfit.rows.to_numpy(zero_copy_only=False)] += lanes
    return keys, _mixed(sums)


def fingerprints_of_names(names: pa.StringArray) -> Halves:
    """The fingerprints by which rows that have names instead of keys (see ``Misfit``) are known."""
    sums = np.repeat(_SEEDS, len(names), axis=1)
    _add(sums, names, _seeds("\0name"))
    return _mixed(sums)


def hexadecimal(halves: Halves, *, prefix: bytes = b"") -> pa.Array:
    """Pairs of numbers as 32 hexadecimal digits each, behind ``prefix`` (string)."""
    count, width = halves.shape[1], len(prefix) + _DIGITS
    text = np.empty((count, width), dtype=np.uint8)
    text[:, : len(prefix)] = np.frombuffer(prefix, dtype=np.uint8)
    octets = np.ascontiguousarray(halves.T, dtype=">u8").view(np.uint8).reshape(count, 16)
    text[:, len(prefix) :] = _HEX[octets].view(np.uint8)
    offsets = np.arange(count + 1, dtype=np.int64) * width
    made = pa.Array.from_buffers(pa.large_string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(text)])
    return made.cast(pa.string())


def halves_of(text: pa.Array, *, skipped: int = 0) -> Halves:
    """The inverse of ``hexadecimal``, whose prefix had ``skipped`` bytes; nulls are none of its texts."""
    array = text.cast(pa.large_string())
    count, width = len(array), skipped + _DIGITS
    if count == 0:
        return np.empty((2, 0), dtype=np.uint64)
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int64)[array.offset : array.offset + count + 1]
    if not (np.diff(offsets) == width).all():
        raise ValueError("a fingerprint has another length")
    digits = np.frombuffer(array.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]].reshape(count, width)
    octets = _octet_of_digits()[np.ascontiguousarray(digits[:, skipped:]).view(np.uint16)]
    return np.ascontiguousarray(octets.view(">u8").T.astype(np.uint64))


def _add(state: Halves, column: pa.Array | pa.ChunkedArray, seeds: np.ndarray) -> None:
    """Add a number for each value, that depends on all of it, to each half."""
    values = plain(column)
    start = 0
    for chunk in values.chunks if isinstance(values, pa.ChunkedArray) else [values]:
        for offset in range(0, len(chunk), _CHUNK_ROWS):
            piece = chunk.slice(offset, _CHUNK_ROWS)
            lanes = _lanes(piece, seeds)
            if piece.null_count:
                lanes *= piece.is_valid().to_numpy(zero_copy_only=False)
            state[:, start : start + len(piece)] += lanes
            start += len(piece)


def _lanes(values: pa.Array, seeds: np.ndarray) -> Halves:
    kind = values.type
    if not (is_text(kind) or is_binary(kind) or _is_fixed(kind)):
        values = texts(one_array(values))
        kind = values.type
    if pa.types.is_decimal128(kind):
        words = np.frombuffer(values.buffers()[1], dtype=np.uint64).reshape(-1, 2)
        words = words[values.offset : values.offset + len(values)].T
        return _mixed(_mixed(words[0] + seeds) ^ words[1])
    if _is_fixed(kind):
        return _mixed(_numbers(values) + seeds)
    return _of_bytes(values.cast(pa.large_binary()), seeds)


_FIXED = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_timestamp,
    pa.types.is_duration,
    pa.types.is_decimal128,
)


def _is_fixed(kind: pa.DataType) -> bool:
    return any(test(kind) for test in _FIXED)


def _numbers(values: pa.Array) -> np.ndarray:
    """Each value as 64 bits; whatever for nulls."""
    kind = values.type
    if pa.types.is_floating(kind):
        values = values.cast(pa.float32()) if pa.types.is_float16(kind) else values
        bits = pc.fill_null(values.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False)
        return np.where(np.isnan(bits), _NAN, np.ascontiguousarray(bits).view(np.uint64))
    if pa.types.is_unsigned_integer(kind):
        numbers = values.cast(pa.uint64())
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        numbers = values.cast(pa.int64())
    else:
        numbers = values.view(pa.int32() if kind.bit_width == 32 else pa.int64()).cast(pa.int64())
    return np.ascontiguousarray(pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False)).view(np.uint64)


def _of_bytes(values: pa.Array, seeds: np.ndarray) -> Halves:
    """Eight bytes of all values at a time; the values are not null where it matters."""
    count = len(values)
    data = values.buffers()[2]
    if count == 0 or data is None or data.size == 0:
        return _mixed(np.repeat(seeds, count, axis=1))
    offsets = np.frombuffer(values.buffers()[1], dtype=np.int64)[values.offset : values.offset + count + 1]
    starts, lengths = offsets[:-1], np.diff(offsets)
    lanes = _mixed(seeds + lengths.view(np.uint64))
    words = _Words(data)
    short = np.where(lengths > _LONG_BYTES, 0, lengths)
    for done in range(0, int(short.max(initial=0)), 8):
        is_longer = short > done
        if is_longer.all():
            lanes = _mixed((lanes + seeds) ^ words.at(starts + done, short - done))
            continue
        active = np.flatnonzero(is_longer)
        word = words.at(starts[active] + done, short[active] - done)
        for half in range(2):
            lanes[half, active] = _mixed((lanes[half, active] + seeds[half]) ^ word)
    for row in np.flatnonzero(lengths > _LONG_BYTES).tolist():
        digest = hashlib.blake2b(memoryview(data)[offsets[row] : offsets[row + 1]], digest_size=16).digest()
        lanes[:, row] = _mixed(lanes[:, row] ^ np.frombuffer(digest, dtype=np.uint64))
    return lanes


class _Words:
    """The eight bytes from any place of a buffer on, as a number."""

    def __init__(self, data: pa.Buffer) -> None:
        held = data if data.size >= 8 else pa.py_buffer(data.to_pybytes().ljust(8, b"\0"))
        self._last = held.size - 8
        self._words = np.ndarray((self._last + 1,), dtype="<u8", buffer=held, strides=(1,))

    def at(self, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The words that begin at ``starts``, of which ``lengths`` bytes are asked for (1 and more)."""
        words: np.ndarray
        if int(starts.max()) <= self._last:
            words = self._words[starts]
        else:
            inside = np.minimum(starts, self._last)
            words = self._words[inside] >> ((starts - inside) * 8).astype(np.uint64)
        if int(lengths.min()) < 8:
            words &= _MASKS[np.minimum(lengths, 8)]
        return words


def _mixed(lanes: np.ndarray) -> np.ndarray:
    """Every bit of the outcome depends on every bit (the finaliser of SplitMix64)."""
    lanes = lanes ^ lanes >> np.uint64(30)
    lanes *= np.uint64(0xBF58476D1CE4E5B9)
    lanes ^= lanes >> np.uint64(27)
    lanes *= np.uint64(0x94D049BB133111EB)
    lanes ^= lanes >> np.uint64(31)
    return lanes


@functools.lru_cache(maxsize=4096)
def _seeds(name: str) -> np.ndarray:
    """Two numbers for a column, of shape (2, 1)."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return np.frombuffer(digest, dtype=np.uint64).reshape(2, 1)


@functools.cache
def _octet_of_digits() -> np.ndarray:
    """The byte that two hexadecimal digits stand for, by the digits as they lie in memory."""
    table = np.zeros(1 << 16, dtype=np.uint8)
    table[_HEX] = np.arange(256, dtype=np.uint8)
    return table
