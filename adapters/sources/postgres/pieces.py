"""Joins the changes of one stream that came from several relations, schemas or kinds of message, in log order.

Decoding them is ``changes``' work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

import attrs
import numpy as np
import pyarrow as pa

from pipeline.domain.change import ChangeBatch, Misfit


@attrs.frozen(eq=False)
class Part:
    """Changes in order, and the place of each among all changes of the log."""

    batch: ChangeBatch
    place: np.ndarray


def in_order(parts: Iterable[Part]) -> tuple[ChangeBatch, ...]:
    """The pieces of every stream in log order, a new one only where the stream's schema changes."""
    streams: dict[str, list[Part]] = {}
    for part in parts:
        streams.setdefault(part.batch.stream, []).append(part)
    pieces: list[ChangeBatch] = []
    for mine in streams.values():
        pieces += [mine[0].batch] if len(mine) == 1 else _interleave(mine)
    return tuple(pieces)


def _interleave(parts: Sequence[Part]) -> list[ChangeBatch]:
    place = np.concatenate([part.place for part in parts])
    owner = np.repeat(np.arange(len(parts)), [len(part.place) for part in parts])
    row = np.concatenate([np.arange(len(part.place)) for part in parts])
    order = np.argsort(place)
    owner, row = owner[order], row[order]
    kinds: list[int] = [
        next(number for number, other in enumerate(parts) if other.batch.schema == part.batch.schema) for part in parts
    ]
    kind = np.array(kinds)[owner]
    cuts = [0, *(np.flatnonzero(np.diff(kind)) + 1).tolist(), len(order)]
    return [_join(parts, owner=owner[begin:end], row=row[begin:end]) for begin, end in pairwise(cuts)]


def _join(parts: Sequence[Part], *, owner: np.ndarray, row: np.ndarray) -> ChangeBatch:
    """One piece from rows of parts with the same schema; each part gives a run of its own rows, in order."""
    tables, misfits = [], []
    where = np.argsort(owner, kind="stable")
    for number, members in groupby(where.tolist(), key=lambda at: int(owner[at])):
        places = np.fromiter(members, dtype=np.int64)
        first, count = int(row[places[0]]), len(places)
        part = parts[number].batch
        tables.append(part.table.slice(first, count))
        misfits += [_moved(misfit, first=first, places=places) for misfit in part.misfits]
    back = np.empty(len(where), dtype=np.int64)
    back[where] = np.arange(len(where))
    table = pa.concat_tables(tables)
    if len(tables) > 1:
        table = table.take(pa.array(back))
    batch = parts[int(owner[0])].batch
    return attrs.evolve(batch, table=table, misfits=tuple(misfit for misfit in misfits if len(misfit.rows)))


def _moved(misfit: Misfit, *, first: int, places: np.ndarray) -> Misfit:
    """The misfit of those rows that are in the piece, by their rows there."""
    rows = np.asarray(misfit.rows) - first
    kept = np.flatnonzero((rows >= 0) & (rows < len(places)))
    moved = places[rows[kept]]
    order = np.argsort(moved)
    texts = misfit.texts.take(pa.array(kept[order]))
    return attrs.evolve(misfit, rows=pa.array(moved[order], pa.int64()), texts=texts)
