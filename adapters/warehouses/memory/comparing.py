"""Compares the rows a staging table holds with those it should hold, key by key.

Which rows are current is told by ``store``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator

import attrs
import pyarrow as pa

from adapters.warehouses.memory.rows import Values, decode_rows, encode_rows, identity, key_of, same
from pipeline.domain.canonical import key_texts
from pipeline.domain.quarantine import Waiting
from pipeline.domain.schema import StreamSchema
from pipeline.ports.warehouse import Comparison

_Keyed = dict[Hashable, Values]


@attrs.frozen
class _Differences:
    compared_count: int
    missing: list[Values]
    extra: list[Values]
    changed: list[Values]


def compare_rows(
    schema: StreamSchema, held: Iterable[Values], wanted: Iterable[pa.Table], *, waiting: Waiting, sample: int
) -> Comparison:
    """How ``held`` differs from ``wanted``, leaving out keys that wait. Without a key, whole rows are compared."""
    found = _differences(schema, held, wanted, waiting=waiting)
    keys = _key_texts(schema, [*found.missing, *found.extra, *found.changed][:sample])
    return Comparison(
        compared_count=found.compared_count,
        missing_count=len(found.missing),
        extra_count=len(found.extra),
        changed_count=len(found.changed),
        keys=tuple(keys),
    )


def difference_tables(
    schema: StreamSchema, held: Iterable[Values], wanted: Iterable[pa.Table], *, waiting: Waiting
) -> tuple[pa.Table, pa.Table]:
    """The rows that are missing or changed, as they should be, and the keys of those that should not exist."""
    found = _differences(schema, held, wanted, waiting=waiting)
    key_schema = pa.schema([schema.arrow().field(name) for name in schema.key])
    return encode_rows([*found.missing, *found.changed], schema.arrow()), encode_rows(found.extra, key_schema)


def _differences(
    schema: StreamSchema, held: Iterable[Values], wanted: Iterable[pa.Table], *, waiting: Waiting
) -> _Differences:
    tables = [table.select(schema.names).cast(schema.arrow()) for table in wanted]
    want = _keyed(schema, (row for table in tables for row in decode_rows(table)), waiting)
    have = _keyed(schema, ({name: row[name] for name in schema.names} for row in held), waiting)
    return _Differences(
        compared_count=len(want),
        missing=[row for key, row in want.items() if key not in have],
        extra=[row for key, row in have.items() if key not in want],
        changed=[row for key, row in want.items() if key in have and not same(row, have[key])],
    )


def _keyed(schema: StreamSchema, rows: Iterable[Values], waiting: Waiting) -> _Keyed:
    if schema.key:
        return {key_of(row, schema.key): row for row in _settled(schema, list(rows), waiting)}
    counter: Counter[Hashable] = Counter()
    keyed: _Keyed = {}
    for row in rows:
        whole = identity({name: row[name] for name in schema.names})
        counter[whole] += 1
        keyed[whole, counter[whole]] = row
    return keyed


def _settled(schema: StreamSchema, rows: list[Values], waiting: Waiting) -> Iterator[Values]:
    for row, text in zip(rows, _key_texts(schema, rows), strict=True):
        if text not in waiting.keys:
            yield row


def _key_texts(schema: StreamSchema, rows: list[Values]) -> list[str]:
    return [str(text) for text in key_texts(encode_rows(rows, schema.arrow()), schema).to_pylist()]
