"""Numbers in place of keys: rows whose keys are equal get the same small integer.

What is done with the rows of one key is decided elsewhere (``compaction``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_ENCODABLE_VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def key_codes(columns: Sequence[pa.Array]) -> tuple[np.ndarray, int]:
    """A code below the returned count for each row, equal where all columns are equal.

    Values are compared exactly: case, accents, trailing spaces and empty texts tell keys apart, and null is a value of
    its own. As in PostgreSQL's indexes, NaN equals NaN and 0.0 equals -0.0.
    """
    codes, count = _encode(columns[0])
    for column in columns[1:]:
        part, size = _encode(column)
        codes, count = densify(codes.astype(np.int64) * size + part)
    return codes, count


def densify(numbers: np.ndarray) -> tuple[np.ndarray, int]:
    """The same partition of the rows by consecutive numbers, in order of first appearance."""
    return _encode(pa.array(numbers))


def _encode(column: pa.Array) -> tuple[np.ndarray, int]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _encode(column.dictionary_decode())
    if pa.types.is_floating(kind):
        column = _canonical_floats(column)
    elif kind in _ENCODABLE_VIEWS:
        column = pc.cast(column, _ENCODABLE_VIEWS[kind])
    elif pa.types.is_nested(kind):  # arrays as keys are legal but rare, and Arrow hashes none of them
        column = pa.array([repr(value) for value in column.to_pylist()], pa.string())
    encoded = column.dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy(zero_copy_only=False), len(encoded.dictionary)


def _canonical_floats(column: pa.Array) -> pa.Array:
    nulls = column.is_null().to_numpy(zero_copy_only=False)
    values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False) + 0.0
    return pa.array(np.where(np.isnan(values), np.nan, values).view(np.int64), mask=nulls)
