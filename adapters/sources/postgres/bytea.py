"""bytea in hex format as bytes, whole columns at a time (PostgreSQL documentation, section 8.4.1).

The escape format is not read: connections pin ``bytea_output`` to hex.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_UNREADABLE = "bytea that is not in hex format"
_PREFIX = (ord("\\"), ord("x"))
_BAD = 255


def _digits() -> np.ndarray:
    values = np.full(256, _BAD, dtype=np.uint8)
    for number, (lower, upper) in enumerate(zip(b"0123456789abcdef", b"0123456789ABCDEF", strict=True)):
        values[lower] = values[upper] = number
    return values


_DIGITS = _digits()


def decode_hex(texts: pa.Array) -> tuple[pa.Array, pa.Array, str]:
    """The bytes of texts like ``\\x00ff``; and the rows (int64) that are not hex, null in the result, with the reason.

    Every text has an even length, so all of them are decoded as one run of digit pairs; each text's prefix comes out
    as one byte, which is then left out.
    """
    whole = pc.fill_null(texts, "\\x")
    offsets = np.frombuffer(whole.buffers()[1], dtype=np.int32)[whole.offset : whole.offset + len(whole) + 1]
    if len(whole) == 0:
        return pa.array([], pa.binary()), pa.array([], pa.int64()), _UNREADABLE
    characters = np.frombuffer(whole.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]
    starts = (offsets[:-1] - offsets[0]).astype(np.int64)
    if not _is_hex(characters, starts, np.diff(offsets)):
        return _row_by_row(texts)
    pairs = _DIGITS[characters].reshape(-1, 2)
    data = pairs[:, 0] << 4 | pairs[:, 1]
    keep = np.ones(len(data), dtype=bool)
    keep[starts // 2] = False
    pairs[starts // 2] = 0
    if (pairs == _BAD).any():
        return _row_by_row(texts)
    ends = ((offsets - offsets[0]) // 2 - np.arange(len(offsets))).astype(np.int32)
    values = pa.Array.from_buffers(pa.binary(), len(whole), [None, pa.py_buffer(ends), pa.py_buffer(data[keep])])
    if texts.null_count:
        values = pc.if_else(pc.is_valid(texts), values, None)
    return values, pa.array([], pa.int64()), _UNREADABLE


def _is_hex(characters: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> bool:
    if (lengths % 2).any() or (lengths < len(_PREFIX)).any():
        return False
    return bool((characters[starts] == _PREFIX[0]).all() and (characters[starts + 1] == _PREFIX[1]).all())


def _row_by_row(texts: pa.Array) -> tuple[pa.Array, pa.Array, str]:
    values: list[bytes | None] = []
    lost: list[int] = []
    for row, text in enumerate(texts.view(pa.binary()).to_pylist()):
        value = None
        if text is not None:
            try:
                value = bytes.fromhex(text.decode("ascii")[2:]) if text.startswith(b"\\x") else None
            except ValueError:
                value = None
            if value is None:
                lost.append(row)
        values.append(value)
    return pa.array(values, pa.binary()), pa.array(lost, pa.int64()), _UNREADABLE
