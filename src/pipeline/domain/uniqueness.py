"""Which rows of one batch break a uniqueness, of the key or of other columns.

Rows of earlier batches are not looked at: uniqueness over a whole table is tested in the warehouse.

Over the key: of two inserts (or snapshot rows) of one key with no delete, key change away or truncate between them,
the later one breaks the rule. Over other columns: of each key the last row of the batch that gives all of them is
judged, unless the key is gone afterwards; of several keys that end with equal values, all but the first break the
rule, as unique columns may be swapped on the way. Without a key every row given after the last truncate is judged.
As in SQL, rows with a null among the columns are never equal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.change import OLD_KEY, OP, ChangeBatch, Operation
from pipeline.domain.unchanged import Unchanged
from pipeline.domain.valuetext import one_array, plain, texts

_INSERTS = (Operation.INSERT.value, Operation.SNAPSHOT.value)


def duplicates(batch: ChangeBatch, columns: Sequence[str]) -> np.ndarray | None:
    """The rows (boolean) that repeat what another row of the batch has, None if none does."""
    ops = np.asarray(batch.table[OP])
    if batch.schema.key and set(columns) == set(batch.schema.key):
        rows = _repeated_inserts(batch, ops)
    else:
        rows = _repeated_values(batch, ops, columns)
    if not len(rows):
        return None
    mask = np.zeros(batch.row_count, dtype=bool)
    mask[rows] = True
    return mask


def codes_of(columns: Sequence[pa.Array | pa.ChunkedArray]) -> np.ndarray:
    """One number per row, equal exactly where all values are equal; -1 where one of them is null."""
    codes: np.ndarray | None = None
    for column in columns:
        coded = _coded(column)
        if codes is None:
            codes = coded
        else:
            pairs = np.where((codes < 0) | (coded < 0), -1, codes * (coded.max(initial=0) + 1) + coded)
            codes = np.unique(pairs, return_inverse=True)[1].astype(np.int64)
            codes[pairs < 0] = -1
    return np.empty(0, np.int64) if codes is None else codes


def _coded(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    values = one_array(plain(column))
    if pa.types.is_nested(values.type):
        values = texts(values)
    return np.asarray(pc.fill_null(values.dictionary_encode().indices, -1), dtype=np.int64)


def _repeated_inserts(batch: ChangeBatch, ops: np.ndarray) -> np.ndarray:
    inserts = np.flatnonzero(np.isin(ops, _INSERTS))
    table, key = batch.table, batch.schema.key
    if len(inserts) < 2 or _rises(table, key, inserts):
        return np.empty(0, np.int64)
    new = [table[name] for name in key]
    if table[OLD_KEY].null_count == table.num_rows:
        codes, away = codes_of(new), np.empty(0, np.int64)
    else:
        old = one_array(table[OLD_KEY])
        away = np.flatnonzero(old.is_valid().to_numpy(zero_copy_only=False))
        olds = [pc.struct_field(old, name).take(pa.array(away)) for name in key]
        both = codes_of([pa.concat_arrays([one_array(n), o]) for n, o in zip(new, olds, strict=True)])
        codes, away_codes = both[: len(ops)], both[len(ops) :]
    deletes = np.flatnonzero(ops == Operation.DELETE)
    rows = np.concatenate([inserts, deletes, away])
    keys = np.concatenate([codes[inserts], codes[deletes], away_codes if len(away) else away])
    comes = np.concatenate([np.ones(len(inserts), bool), np.zeros(len(deletes) + len(away), bool)])
    eras = np.cumsum(ops == Operation.TRUNCATE)[rows]
    order = np.lexsort((rows, eras, keys))
    rows, keys, eras, comes = rows[order], keys[order], eras[order], comes[order]
    again = (keys[1:] == keys[:-1]) & (eras[1:] == eras[:-1]) & comes[1:] & comes[:-1] & (keys[1:] >= 0)
    return np.asarray(rows[1:][again])


def _rises(table: pa.Table, key: Sequence[str], inserts: np.ndarray) -> bool:
    """Whether the keys of the inserts are integers that rise, as in a snapshot read by key: none is there twice."""
    if len(key) != 1 or not pa.types.is_integer(table[key[0]].type) or table[key[0]].null_count:
        return False
    numbers = np.asarray(table[key[0]])[inserts]
    return bool((numbers[1:] > numbers[:-1]).all())


def _repeated_values(batch: ChangeBatch, ops: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    rows = _last_given(batch, ops, columns)
    codes = codes_of([batch.table[name] for name in columns])[rows]
    rows, codes = rows[codes >= 0], codes[codes >= 0]
    order = np.argsort(codes, kind="stable")
    repeats = codes[order][1:] == codes[order][:-1]
    return np.asarray(rows[order][1:][repeats])


def _last_given(batch: ChangeBatch, ops: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """The rows to judge, rising: of each key that is there at the end the last that gives all of the columns."""
    given = (ops != Operation.DELETE) & (ops != Operation.TRUNCATE)
    unchanged = Unchanged.of(batch.table)
    for name in columns:
        mask = unchanged.mask(name)
        given = given if mask is None else given & ~mask
    truncates = np.flatnonzero(ops == Operation.TRUNCATE)
    if len(truncates):
        given[: truncates[-1]] = False
    rows = np.flatnonzero(given)
    key = batch.schema.key
    if not key:
        return rows
    leaving = np.flatnonzero(ops == Operation.DELETE)
    keys = [one_array(batch.table[name]) for name in key]
    parts = [[values.take(pa.array(rows)), values.take(pa.array(leaving))] for values in keys]
    old = one_array(batch.table[OLD_KEY])
    away = np.flatnonzero(old.is_valid().to_numpy(zero_copy_only=False))
    for part, name in zip(parts, key, strict=True):
        part.append(pc.struct_field(old, name).take(pa.array(away)))
    codes = codes_of([pa.concat_arrays(part) for part in parts])
    events = np.concatenate([rows, leaving, away])
    stays = np.concatenate([np.ones(len(rows), bool), np.zeros(len(leaving) + len(away), bool)])
    # at a key change the old key leaves before the new one comes
    order = np.lexsort((stays, events, codes))
    codes, events, stays = codes[order], events[order], stays[order]
    last = np.append(codes[1:] != codes[:-1], True) if len(codes) else np.empty(0, bool)
    return np.sort(events[last & stays & (codes >= 0)])
