"""Positions say where to go on in a source; sequences say in which order a stream's changes happened.

The two are different things: a position may be a vector over partitions and is opaque to the core but for ``covers``;
a sequence is one number, stored on every row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs
import numpy as np
import pyarrow as pa

Component = int | str

#: Arrow type of a packed sequence; fits NUMBER(38, 0) and DECIMAL(38, 0).
SEQUENCE_TYPE = pa.decimal128(38, 0)

PHASE_SNAPSHOT = 0
PHASE_LOG = 1

_ORDINAL_BITS = 44
_PHASE_BITS = 2
_COMMIT_SHIFT = _ORDINAL_BITS + _PHASE_BITS
_EPOCH_SHIFT = _COMMIT_SHIFT + 64


def _copied(parts: Mapping[str, Component]) -> dict[str, Component]:
    return dict(parts)


@attrs.frozen
class Position:
    """A place in a source: one ordered component for each partition of it (``{"lsn": 4711}``, ``{"0": 17, "1": 4}``).

    Components of one partition are compared as numbers or as text, never mixed.
    """

    parts: Mapping[str, Component] = attrs.field(converter=_copied)

    def __hash__(self) -> int:
        return hash(self.encode())

    def covers(self, other: Position) -> bool:
        """Whether everything up to ``other`` lies at or before this position."""
        return all(name in self.parts and _at_most(part, self.parts[name]) for name, part in other.parts.items())

    def encode(self) -> str:
        """Canonical JSON text, the form kept in the warehouse."""
        return json.dumps(self.parts, sort_keys=True, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Position:
        """The position that ``encode`` wrote."""
        return cls(json.loads(text))


@attrs.frozen(order=True)
class Sequence:
    """The order of one change among all of its stream.

    ``epoch`` (0..65535) rises when a source is re-created, restored or failed over; ``commit`` (64 bits unsigned) is
    the place of the commit in the log; ``phase`` is 0 for snapshot rows and 1 for log rows; ``ordinal`` (44 bits)
    counts within the commit. Packed: ``epoch << 110 | commit << 46 | phase << 44 | ordinal``, below 10**38.
    """

    epoch: int
    commit: int
    phase: int
    ordinal: int

    def pack(self) -> int:
        """One integer in the same order."""
        return self.epoch << _EPOCH_SHIFT | self.commit << _COMMIT_SHIFT | self.phase << _ORDINAL_BITS | self.ordinal

    @classmethod
    def unpack(cls, packed: int) -> Sequence:
        """The sequence that ``pack`` made."""
        return cls(
            epoch=packed >> _EPOCH_SHIFT,
            commit=packed >> _COMMIT_SHIFT & (1 << 64) - 1,
            phase=packed >> _ORDINAL_BITS & (1 << _PHASE_BITS) - 1,
            ordinal=packed & (1 << _ORDINAL_BITS) - 1,
        )


def pack_sequences(epoch: int, commit: np.ndarray | int, phase: int, ordinal: np.ndarray) -> pa.Decimal128Array:
    """Packed sequences of many changes, without an object per row.

    ``commit`` is an unsigned 64-bit array as long as ``ordinal``, or one number for all of them.
    """
    ordinals = np.asarray(ordinal, dtype=np.uint64)
    commits = np.broadcast_to(np.asarray(commit, dtype=np.uint64), ordinals.shape)
    halves = np.empty((len(ordinals), 2), dtype=np.uint64)
    halves[:, 0] = (commits << np.uint64(_COMMIT_SHIFT)) | np.uint64(phase << _ORDINAL_BITS) | ordinals
    halves[:, 1] = np.uint64(epoch << (_EPOCH_SHIFT - 64)) | (commits >> np.uint64(64 - _COMMIT_SHIFT))
    return pa.Array.from_buffers(SEQUENCE_TYPE, len(ordinals), [None, pa.py_buffer(halves)])


def sequence_halves(sequences: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The packed sequences as an (n, 2) array of unsigned 64-bit halves, low half first."""
    array = sequences.combine_chunks() if isinstance(sequences, pa.ChunkedArray) else sequences
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], SEQUENCE_TYPE)
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return np.empty((0, 2), dtype=np.uint64)
    halves = np.frombuffer(data, dtype=np.uint64).reshape(-1, 2)
    return halves[array.offset : array.offset + len(array)]


def commits_of(sequences: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The commit part of packed sequences, unsigned 64-bit."""
    halves = sequence_halves(sequences)
    return (halves[:, 1] << np.uint64(64 - _COMMIT_SHIFT)) | (halves[:, 0] >> np.uint64(_COMMIT_SHIFT))


def transactions_of(sequences: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Numbers from 0 that rise where the next transaction begins; ``sequences`` are in order.

    Rows of a snapshot and of the log are never of one transaction.
    """
    halves = sequence_halves(sequences)
    low, high = halves[:, 0] >> np.uint64(_ORDINAL_BITS), halves[:, 1]
    begins = np.zeros(len(halves), dtype=np.int64)
    begins[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return np.cumsum(begins)


def _at_most(left: Component, right: Component) -> bool:
    if isinstance(left, int) and isinstance(right, int):
        return left <= right
    if isinstance(left, str) and isinstance(right, str):
        return left <= right
    raise TypeError("positions of one partition mix numbers and text")
