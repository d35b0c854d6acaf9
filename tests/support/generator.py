"""Random schemas and random histories of a relational table, valid as a database would log them (Hypothesis).

A history is drawn as small integers and then told against a model of the source table, so that it shrinks well and
every update, delete and key change meets a row that exists.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Any

import attrs
import pyarrow as pa
from hypothesis import strategies as st

from pipeline.domain.schema import Column, StreamSchema
from tests.support.told import Log, Told

Values = dict[str, object]
Key = tuple[object, ...]

#: Values by type; the first eight of the key types are distinct, and no key type holds null.
KEY_POOLS: dict[pa.DataType, tuple[object, ...]] = {
    pa.int64(): (0, 1, -1, 2**63 - 1, -(2**63), 7, 8, 9),
    pa.string(): ("a", "A", "", "a ", "é", "e\u0301", "'\";--\\N", "🔑\n"),
    pa.decimal128(38, 9): tuple(Decimal(text) for text in ("0", "1", "-1", "1e-9", "-1e-9", "1e28", "2", "0.5")),
    pa.date32(): tuple(dt.date(2026, 1, day) for day in range(1, 9)),
    pa.timestamp("us", tz="UTC"): tuple(dt.datetime(2026, 1, 1, 0, 0, 0, n, tzinfo=dt.UTC) for n in range(8)),
    pa.binary(): (b"", b"\0", b"\xff", b"'", b"a", b"b", b"c", b"d"),
}
DATA_POOLS: dict[pa.DataType, tuple[object, ...]] = {
    pa.string(): (None, "", "a", "\\N", "NULL", "\ufeff'\r\n\"", "🔑"),
    pa.float64(): (None, math.nan, 0.0, -0.0, math.inf, 5e-324, 0.1),
    pa.decimal128(38, 9): (None, Decimal("0"), Decimal("1.5"), Decimal("-99999999999999999999999999999.999999999")),
    pa.int64(): (None, 0, -(2**63), 2**63 - 1),
    pa.bool_(): (None, False, True),
    pa.timestamp("us", tz="UTC"): (None, dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
}
TOAST = "toast"
TOAST_POOL = (None, "", "long text " * 20, "other text")

KEY_COUNT = 6
MAX_COLUMNS = 3
_START_LSNS = (100, 2**63 - 15, 2**64 - 10_000)


class Deed(Enum):
    """What a transaction does to the table; one deed may be several changes."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    MOVE = "move"
    SWAP = "swap"
    REPLACE = "replace"
    TRUNCATE = "truncate"


class LoadKind(Enum):
    """How changes reach the warehouse: from the log, or by copying the table anew."""

    LOG = "log"
    COPY = "copy"


@attrs.frozen(eq=False)
class PlayedLoad:
    """One load: first ``added`` (if any) joins the schema, then the pieces are loaded; ``rows`` is the table after it.

    A transaction lies in one load, but may lie in several pieces.
    """

    kind: LoadKind
    schema: StreamSchema
    pieces: tuple[tuple[Told, ...], ...]
    rows: tuple[Values, ...]
    added: Column | None = None


@attrs.frozen(eq=False)
class History:
    """What happened to one table, cut into loads."""

    schema: StreamSchema
    loads: tuple[PlayedLoad, ...]

    def _repr_pretty_(self, printer: Any, cycle: object) -> None:
        printer.text(repr(self))

    def __repr__(self) -> str:
        lines = [f"key {self.schema.key} of {[(c.name, str(c.type)) for c in self.schema.columns]}"]
        for load in self.loads:
            lines.append(f"{load.kind.value} added={load.added}")
            lines += [
                f"  {'|' if i == 0 else ' '} {_brief(told)}" for piece in load.pieces for i, told in enumerate(piece)
            ]
        return "\n".join(lines)


@st.composite
def schemas(draw: st.DrawFn) -> StreamSchema:
    """A key of one to three columns, up to three data columns, and one that a log may leave out as unchanged."""
    keys = draw(st.lists(st.sampled_from(list(KEY_POOLS)), min_size=1, max_size=3))
    data = draw(st.lists(st.sampled_from(list(DATA_POOLS)), max_size=MAX_COLUMNS))
    columns = [Column(f"k{number}", kind, nullable=False) for number, kind in enumerate(keys)]
    columns += [Column(f"c{number}", kind) for number, kind in enumerate(data)]
    return StreamSchema([*columns, Column(TOAST, pa.string())], key=[column.name for column in columns[: len(keys)]])


_DEEDS = st.tuples(
    st.sampled_from([*Deed, Deed.INSERT, Deed.INSERT, Deed.UPDATE, Deed.UPDATE, Deed.MOVE]),
    st.integers(0, KEY_COUNT - 1),
    st.integers(0, KEY_COUNT - 1),
    st.integers(0, 4**5),
)
_TRANSACTIONS = st.tuples(
    st.lists(_DEEDS, min_size=1, max_size=6),
    st.sampled_from([1, 0, -1]),  # seconds since the last commit: clocks stand still and go back
    st.booleans(),  # whether a load ends here
)


@st.composite
def histories(draw: st.DrawFn, *, copies: bool = True, additions: bool = True) -> History:
    """A history that begins with a copy or an empty table; ``copies``: it may be copied again in between."""
    schema = draw(schemas())
    teller = _Teller(
        schema, Log(lsn=draw(st.sampled_from(_START_LSNS))), piece_rows=draw(st.sampled_from([99, 1, 2, 3]))
    )
    loads = []
    if draw(st.booleans()):
        teller.perform(draw(st.lists(_DEEDS, max_size=5)))
        loads.append(teller.copied())
    for deeds, seconds, ends in draw(st.lists(_TRANSACTIONS, min_size=1, max_size=7)):
        teller.log.commit(after=dt.timedelta(seconds=seconds))
        teller.perform(deeds)
        if not ends:
            continue
        loads.append(teller.logged())
        if copies and draw(st.integers(0, 7)) == 7:
            teller.lose(draw(st.lists(_DEEDS, max_size=4)))
            loads.append(teller.copied())
        if additions and draw(st.integers(0, 7)) == 7:
            kind = draw(st.sampled_from(list(DATA_POOLS)))
            teller.add(kind, draw(st.sampled_from(DATA_POOLS[kind])))
    loads.append(teller.logged())
    return History(schema, tuple(loads))


class _Teller:
    """The source: performs deeds on its table and tells them to the log."""

    def __init__(self, schema: StreamSchema, log: Log, *, piece_rows: int) -> None:
        self.log = log
        self._schema = schema
        self._piece_rows = piece_rows
        self._table: dict[Key, Values] = {}
        self._told: list[Told] = []
        self._added: Column | None = None

    def perform(self, deeds: list[tuple[Deed, int, int, int]]) -> None:
        for deed, first, second, digits in deeds:
            self._told += self._tell(deed, self._key(first), self._key(second), _Digits(digits))

    def lose(self, deeds: list[tuple[Deed, int, int, int]]) -> None:
        """Perform deeds that no log tells of; the source begins another epoch."""
        self.perform(deeds)
        self._told.clear()
        self.log.epoch += 1

    def add(self, kind: pa.DataType, default: object) -> None:
        """Add a column with a default."""
        column = Column(f"c{MAX_COLUMNS + len(self._schema.columns)}", kind, default=pa.scalar(default, kind))
        self._schema = self._schema.with_columns((*self._schema.columns, column))
        self._added = column
        for row in self._table.values():
            row[column.name] = default

    def logged(self) -> PlayedLoad:
        return self._load(LoadKind.LOG)

    def copied(self) -> PlayedLoad:
        self.log.commit()
        self._told = [self.log.snapshot(**row) for row in self._table.values()]
        return self._load(LoadKind.COPY)

    def _load(self, kind: LoadKind) -> PlayedLoad:
        told, added = self._told, self._added
        self._told, self._added = [], None
        size = self._piece_rows
        pieces = tuple(tuple(told[at : at + size]) for at in range(0, len(told), size))
        return PlayedLoad(kind, self._schema, pieces, tuple(dict(row) for row in self._table.values()), added)

    def _tell(self, deed: Deed, first: Key, second: Key, digits: _Digits) -> Iterator[Told]:
        match deed:
            case Deed.TRUNCATE:
                self._table.clear()
                yield self.log.truncate()
            case _ if first not in self._table:
                yield self._insert(first, digits)
            case Deed.INSERT | Deed.UPDATE:
                yield self._update(first, first, digits)
            case Deed.DELETE:
                yield self._delete(first)
            case Deed.MOVE if second not in self._table:
                yield self._update(first, second, digits)
            case Deed.SWAP if second in self._table and first != second:
                free = next((key for key in map(self._key, range(KEY_COUNT)) if key not in self._table), None)
                if free is not None:
                    for old, new in ((first, free), (second, first), (free, second)):
                        yield self._update(old, new, digits)
            case Deed.REPLACE:
                yield self._delete(first)
                yield self._insert(first, digits)
            case _:
                pass  # the other key of a move is taken, or that of a swap is not

    def _insert(self, key: Key, digits: _Digits) -> Told:
        row = dict(zip(self._schema.key, key, strict=True))
        row |= {name: pool[digits.next(len(pool))] for name, pool in self._data()}
        self._table[key] = row
        return self.log.insert(**row)

    def _update(self, old: Key, new: Key, digits: _Digits) -> Told:
        row = self._table.pop(old)
        before = dict(zip(self._schema.key, old, strict=True))
        row |= dict(zip(self._schema.key, new, strict=True))
        left_out: tuple[str, ...] = ()
        for name, pool in self._data():
            digit = digits.next(len(pool) + 2)
            if digit > 1:
                row[name] = pool[digit - 2]
            elif name == TOAST and digit == 0:
                left_out = (TOAST,)
        self._table[new] = row
        given = {name: value for name, value in row.items() if name not in left_out}
        return self.log.update(unchanged=left_out or None, old_key=None if old == new else before, **given)

    def _delete(self, key: Key) -> Told:
        del self._table[key]
        return self.log.delete(**dict(zip(self._schema.key, key, strict=True)))

    def _key(self, number: int) -> Key:
        pools = [KEY_POOLS[self._schema.column(name).type] for name in self._schema.key]
        if len(pools) == 1:
            return (pools[0][number],)
        if len(pools) == 2:
            return (pools[0][number // 2], pools[1][number % 2])
        return (pools[0][number // 4], pools[1][number // 2 % 2], pools[2][number % 2])

    def _data(self) -> Iterator[tuple[str, tuple[object, ...]]]:
        """The data columns; the one with unchanged values first, since early digits vary most."""
        yield TOAST, TOAST_POOL
        for column in self._schema.columns:
            if column.name != TOAST and column.name not in self._schema.key:
                yield column.name, DATA_POOLS[column.type]


class _Digits:
    """Takes small numbers out of one drawn integer."""

    def __init__(self, number: int) -> None:
        self._number = number

    def next(self, base: int) -> int:
        self._number, digit = divmod(self._number, base)
        return digit


def _brief(told: Told) -> str:
    moved = f" from {tuple(told.old_key.values())}" if told.old_key else ""
    left_out = f" unchanged {told.unchanged}" if told.unchanged else ""
    place = f"{told.sequence.commit}.{told.sequence.ordinal}"
    return f"{place} {told.op.label} {dict(told.values)}{moved}{left_out} at {told.commit_at}"
