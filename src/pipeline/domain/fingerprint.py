"""Fingerprints of rows: 128 bits from all values of a row, computed column by column.

Equal rows have equal fingerprints; rows that differ have different ones but for chance (about 2**-100 for each pair).
They tell what changed between two looks at a source, not what somebody forged: no cryptography is meant.
"""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.valuetext import is_binary, is_text, one_array, plain, texts

#: One for each half; their last bits differ.
_SEEDS = (0x9E3779B97F4A7C14, 0xD1B54A32D192ED03)
#: So many bytes of text are looked at together: few enough that what is computed of them stays near the processor.
_CHUNK_BYTES = 128 * 1024


def fingerprints(table: pa.Table) -> pa.Array:
    """The fingerprint of each row, 32 hexadecimal digits (string)."""
    halves = np.empty((table.num_rows, 2), dtype=">u8")
    for number, seed in enumerate(_SEEDS):
        state = np.full(table.num_rows, seed, dtype=np.uint64)
        for position, column in enumerate(table.columns):
            lane = _column(one_array(plain(column)), seed + 2 * position)
            state = _mixed(state * np.uint64(seed | 1) ^ lane)
        halves[:, number] = state
    return hexadecimal(halves)


def _column(values: pa.Array, seed: int) -> np.ndarray:
    """A number per value that depends on all of it."""
    kind = values.type
    if not (is_text(kind) or is_binary(kind) or _is_fixed(kind)):
        values = texts(values)
        kind = values.type
    lanes = _fixed(values, seed) if _is_fixed(kind) else _variable(values, seed)
    if values.null_count:
        lanes = np.where(values.is_valid().to_numpy(zero_copy_only=False), lanes, np.uint64(seed ^ 0x6E756C6C))
    return lanes


_FIXED = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_temporal,
    pa.types.is_decimal128,
)


def _is_fixed(kind: pa.DataType) -> bool:
    return any(test(kind) for test in _FIXED)


def _fixed(values: pa.Array, seed: int) -> np.ndarray:
    kind = values.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        lanes = values.cast(pa.uint64() if pa.types.is_unsigned_integer(kind) else pa.int64())
    elif pa.types.is_floating(kind):
        lanes = values.cast(pa.float64())
    elif pa.types.is_decimal128(kind):
        halves = np.frombuffer(values.buffers()[1], dtype=np.uint64).reshape(-1, 2)
        halves = halves[values.offset : values.offset + len(values)]
        return _mixed(_mixed(halves[:, 0] + np.uint64(seed)) ^ halves[:, 1])
    else:
        width = pa.int32() if kind.bit_width == 32 else pa.int64()
        lanes = values.view(width).cast(pa.int64())
    numbers = pc.fill_null(lanes, 0).to_numpy(zero_copy_only=False)
    return _mixed(np.ascontiguousarray(numbers).view(np.uint64) + np.uint64(seed & (1 << 64) - 1))


def _variable(values: pa.Array, seed: int) -> np.ndarray:
    """Sums of random numbers for bytes times powers of an odd number, modulo 2**64: a polynomial over the value."""
    values = values.cast(pa.large_binary())
    count = len(values)
    offsets = np.frombuffer(values.buffers()[1], dtype=np.int64)[values.offset : values.offset + count + 1]
    data = values.buffers()[2]
    octets = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, np.uint8)
    lanes = np.empty(count, dtype=np.uint64)
    start = 0
    while start < count:
        end = int(np.searchsorted(offsets, offsets[start] + _CHUNK_BYTES, side="right")) - 1
        end = min(max(end, start + 1), count)
        lanes[start:end] = _polynomials(octets, offsets[start : end + 1], seed)
        start = end
    lengths = np.diff(offsets).astype(np.uint64)
    return _mixed(lanes ^ lengths * np.uint64(seed & (1 << 64) - 1 | 1))


def _polynomials(octets: np.ndarray, offsets: np.ndarray, seed: int) -> np.ndarray:
    first, last = int(offsets[0]), int(offsets[-1])
    size = last - first
    # Of a value larger than a chunk they are not kept.
    made = _numbers if size <= _CHUNK_BYTES else _numbers.__wrapped__
    numbers, powers, inverses = made(seed & 1, max(size, _CHUNK_BYTES))
    sums = np.empty(size + 1, dtype=np.uint64)
    sums[0] = 0
    terms = numbers[octets[first:last]]
    terms *= powers[:size]
    np.cumsum(terms, out=sums[1:])
    at = offsets - first
    edges = sums[at]
    totals: np.ndarray = (edges[1:] - edges[:-1]) * inverses[at[:-1]]  # as if each value began at the power 0
    return totals


@functools.lru_cache(maxsize=2)
def _numbers(half: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random number for each byte, and the powers 0 to ``count`` of a random odd number and of its inverse."""
    generator = np.random.default_rng(half)
    base = int(generator.integers(0, 1 << 62)) * 2 + 1
    inverse = pow(base, -1, 1 << 64)
    return generator.integers(0, 1 << 64, 256, dtype=np.uint64), _powers(base, count), _powers(inverse, count)


def _powers(base: int, count: int) -> np.ndarray:
    """``base`` to the powers 0 to ``count``, modulo 2**64."""
    powers = np.empty(count + 1, dtype=np.uint64)
    powers[0] = 1
    filled = 1
    while filled <= count:
        step = min(filled, count + 1 - filled)
        powers[filled : filled + step] = powers[:step] * np.uint64(pow(base, filled, 1 << 64))
        filled += step
    return powers


def _mixed(lanes: np.ndarray) -> np.ndarray:
    """Every bit of the outcome depends on every bit (the finaliser of SplitMix64)."""
    lanes = (lanes ^ lanes >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    lanes = (lanes ^ lanes >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = lanes ^ lanes >> np.uint64(31)
    return mixed


def hexadecimal(halves: np.ndarray) -> pa.Array:
    """Pairs of numbers as 32 hexadecimal digits each (string)."""
    halves = halves.astype(">u8")
    octets = np.ascontiguousarray(halves).view(np.uint8).reshape(len(halves), 16)
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    text = np.empty((len(halves), 32), dtype=np.uint8)
    text[:, 0::2] = digits[octets >> 4]
    text[:, 1::2] = digits[octets & 15]
    offsets = np.arange(len(halves) + 1, dtype=np.int32) * 32
    return pa.Array.from_buffers(pa.string(), len(halves), [None, pa.py_buffer(offsets), pa.py_buffer(text)])
