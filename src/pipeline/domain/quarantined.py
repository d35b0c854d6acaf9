"""Quarantined rows: how they are written down, and which of them may be loaded again.

Which rows break a rule is ``validation``'s, which wait behind them ``holding``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.canonical import OLD_KEY_MEMBER, decode_rows, is_whole, key_texts, row_texts
from pipeline.domain.change import (
    COMMIT_AT,
    COMMIT_AT_TYPE,
    OP,
    OPERATION_LABELS,
    SEQUENCE,
    ChangeBatch,
    Misfit,
    change_schema,
)
from pipeline.domain.position import SEQUENCE_TYPE
from pipeline.domain.schema import StreamSchema

#: A quarantined row. ``key`` and ``row`` are JSON objects with canonical texts of the values (``row`` with every
#: column that the log gave, misfits as the source wrote them, see ``canonical.row_texts``); ``reasons`` rule labels
#: without values; ``contract_version`` which contract judged it; ``op`` an ``Operation`` label. The warehouse adds
#: load, status and times.
QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("sequence", SEQUENCE_TYPE),
        pa.field("op", pa.string()),
        pa.field("commit_at", COMMIT_AT_TYPE),
        pa.field("key", pa.string()),
        pa.field("row", pa.string()),
        pa.field("reasons", pa.list_(pa.string())),
        pa.field("contract_version", pa.string()),
    ]
)

STATUS_WAITING = "waiting"
STATUS_SUPERSEDED = "superseded"
STATUS_CLOSED = "closed"
STATUS_RELEASED = "released"
STATUS_DISCARDED = "discarded"

#: Waiting rows of ``key`` with a sequence below ``before`` get ``status``. A null ``key`` means every key (truncate).
#: Apply them in order, after the quarantined rows of the same batch were stored.
SETTLED_SCHEMA = pa.schema(
    [pa.field("key", pa.string()), pa.field("before", SEQUENCE_TYPE), pa.field("status", pa.string())]
)

#: So many rows are written as JSON at a time, and rows of at most so many bytes (P11).
_ROWS_AT_A_TIME = 50_000
_BYTES_AT_A_TIME = 128 * 1024 * 1024


@attrs.frozen
class Waiting:
    """The keys (canonical JSON, as in ``QUARANTINE_SCHEMA``) of a stream's rows that wait in quarantine.

    ``moved`` are those among them, old and new, that a waiting key change leads from or to. Held in memory whole, some
    two hundred bytes a key: what bounds them is how many keys wait at once, not P11.
    """

    keys: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()

    @classmethod
    def of(cls, keys: Iterable[str], rows: Iterable[str]) -> Waiting:
        """From the ``key`` and ``row`` of the rows that wait; of rows without ``_cdc_old_key`` the key is enough."""
        moved: set[str] = set()
        every: set[str] = set()
        for key, row in zip(keys, rows, strict=True):
            every.add(key)
            if old := old_key_of(row):
                moved |= {key, old}
        return cls(frozenset(every | moved), frozenset(moved))


@attrs.frozen(eq=False)
class Releasable:
    """Quarantined rows by what a release can do: load them again; mark them superseded since something newer of
    their key was loaded; or neither, since a value was too large to be kept (``incomplete``).
    """

    rows: pa.Table
    superseded: pa.Table
    incomplete: pa.Table


def quarantine_rows(
    table: pa.Table,
    schema: StreamSchema,
    rows: np.ndarray,
    *,
    reasons: pa.Array,
    contract_version: str,
    misfits: tuple[Misfit, ...] = (),
    max_bytes: int | None = None,
) -> pa.Table:
    """The rows numbered ``rows`` as a table of ``QUARANTINE_SCHEMA``; ``reasons`` one list for each of them."""
    if not len(rows):
        return QUARANTINE_SCHEMA.empty_table()
    step = max(1, min(_ROWS_AT_A_TIME, _BYTES_AT_A_TIME * table.num_rows // max(1, table.nbytes)))
    pieces = []
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        part = table.take(pa.array(some))
        odd = _misfits_of(misfits, some)
        columns = [
            part[SEQUENCE],
            OPERATION_LABELS.take(part[OP].combine_chunks()),
            part[COMMIT_AT],
            key_texts(part, schema, misfits=odd),
            row_texts(part, schema, misfits=odd, max_bytes=max_bytes),
            reasons.slice(start, step),
            pa.repeat(contract_version, len(some)),
        ]
        pieces.append(pa.table(columns, names=QUARANTINE_SCHEMA.names).cast(QUARANTINE_SCHEMA))
    return pa.concat_tables(pieces)


def releasable(rows: pa.Table, newest_sequences: Mapping[str, int]) -> Releasable:
    """Which waiting rows a release may load again: those whose key, and whose old key, has nothing newer.

    ``newest_sequences`` gives, for each key (canonical JSON) that the changelog has, its newest packed sequence; a
    key it lacks has none. ``rows`` follows ``QUARANTINE_SCHEMA`` and is returned in order of sequence.
    """
    ordered = rows.sort_by("sequence")
    kinds = []
    for key, row, sequence in zip(*(ordered[name].to_pylist() for name in ("key", "row", "sequence")), strict=True):
        old = old_key_of(row)
        newest = max(newest_sequences.get(key, -1), newest_sequences.get(old, -1) if old else -1)
        kinds.append("superseded" if newest > sequence else "rows" if is_whole(row) else "incomplete")
    kind = pa.array(kinds, pa.string())
    return Releasable(**{name: ordered.filter(pc.equal(kind, name)) for name in ("rows", "superseded", "incomplete")})


def released_batch(rows: pa.Table, schema: StreamSchema, sequences: pa.Array, *, stream: str) -> ChangeBatch:
    """Quarantined rows as changes under new ``sequences`` (packed, rising), to be judged and loaded again (I6, I7).

    ``rows`` are what ``releasable`` let through; their own commit times stay. Raises ``ValueError`` for a row that
    is not whole.
    """
    decoded = decode_rows(schema, rows["row"].to_pylist())
    operations = pc.index_in(rows["op"], value_set=OPERATION_LABELS).cast(pa.int8())
    table = decoded.table.append_column(OP, operations).append_column(SEQUENCE, sequences)
    table = table.append_column(COMMIT_AT, rows[COMMIT_AT.removeprefix("_cdc_")])
    names = change_schema(schema).names
    return ChangeBatch(stream, schema, table.select(names).cast(change_schema(schema)), decoded.misfits)


def old_key_of(row: str) -> str | None:
    """The key before the change (canonical JSON) of a quarantined row, None if it did not change."""
    if f'"{OLD_KEY_MEMBER}":' not in row:
        return None
    # the last member; read as text, since a parsed number might be spelt in another way
    return row.rpartition(f'"{OLD_KEY_MEMBER}":')[2].removesuffix("}") or None


def _misfits_of(misfits: tuple[Misfit, ...], rows: np.ndarray) -> tuple[Misfit, ...]:
    """The misfits of these rows (rising numbers), numbered by their place among them."""
    kept = []
    for misfit in misfits:
        places = misfit.rows.to_numpy(zero_copy_only=False)
        found = np.isin(places, rows)
        if found.any():
            numbers = pa.array(np.searchsorted(rows, places[found]), pa.int64())
            kept.append(misfit.taken(pa.array(found), numbers))
    return tuple(kept)
