"""What each PostgreSQL type becomes: the pipeline's columns, and how a snapshot selects them.

The same table in words is TYPES.md. Turning texts into values is ``values``' work, reading the catalog ``catalog``'s.
"""

from __future__ import annotations

import attrs
import pyarrow as pa

from adapters.sources.postgres.native import native_values
from adapters.sources.postgres.relation import SourceColumn
from adapters.sources.postgres.values import parse
from pipeline.domain.schema import Column

__all__ = ["TABLE", "UNBOUNDED_NUMERIC", "Entry", "column_of", "native_values", "select_expression"]

#: Of a numeric without declared precision, or with one that no warehouse holds.
UNBOUNDED_NUMERIC = pa.decimal128(38, 9)

MAX_PRECISION = 38

NUMERIC_OID = 1700

#: Types of PostgreSQL's own whose cast to text is not their output: inet (adds the netmask), xml (keeps a declaration).
CAST_DIFFERS = frozenset({869, 142})

#: Object ids below this one are PostgreSQL's own and never change between servers.
FIRST_USER_OID = 16384


@attrs.frozen
class Entry:
    """One line of the table of types: ``native`` tells that a snapshot reads it without a cast to text."""

    name: str
    type: pa.DataType
    native: bool = False
    json: bool = False


#: By pg_type.oid of the type under all domains; whatever is not here becomes text.
TABLE: dict[int, Entry] = {
    16: Entry("bool", pa.bool_(), native=True),
    17: Entry("bytea", pa.binary(), native=True),
    19: Entry("name", pa.string(), native=True),
    20: Entry("int8", pa.int64(), native=True),
    21: Entry("int2", pa.int16(), native=True),
    23: Entry("int4", pa.int32(), native=True),
    25: Entry("text", pa.string(), native=True),
    26: Entry("oid", pa.int64()),
    114: Entry("json", pa.string(), json=True),
    700: Entry("float4", pa.float32(), native=True),
    701: Entry("float8", pa.float64(), native=True),
    1042: Entry("bpchar", pa.string(), native=True),
    1043: Entry("varchar", pa.string(), native=True),
    1082: Entry("date", pa.date32(), native=True),
    1083: Entry("time", pa.time64("us"), native=True),
    1114: Entry("timestamp", pa.timestamp("us"), native=True),
    1184: Entry("timestamptz", pa.timestamp("us", tz="UTC"), native=True),
    NUMERIC_OID: Entry("numeric", UNBOUNDED_NUMERIC),
    3802: Entry("jsonb", pa.string(), json=True),
}

#: Types with an element type that are yet no arrays: name, int2vector, oidvector, point, lseg, box, line.
_NOT_ARRAYS = frozenset({19, 22, 30, 600, 601, 603, 628})

_TEXT = Entry("text", pa.string())
_ARRAY = Entry("array", pa.string(), json=True)


def column_of(source: SourceColumn, *, name: str) -> Column:
    """The pipeline's column for ``source``, called ``name`` in the warehouse.

    ``source_type`` is PostgreSQL's spelling of the type; for a domain over an array the elements follow in
    parentheses (``tags (text[])``), since without them its values could not be read. The default is None where there
    is none, or where the column's type cannot hold it.
    """
    entry = _entry(source)
    spelled = source.type_text
    if entry is _ARRAY and not spelled.endswith("[]"):
        spelled = f"{spelled} ({source.element_name}[])"
    column = Column(
        name=name,
        type=_numeric(source) if entry.name == "numeric" else entry.type,
        nullable=not source.not_null,
        source_name=source.name,
        source_type=spelled,
        json=entry.json,
        source_id=source.attnum,
        fills_old_rows=source.fills_old_rows,
    )
    if source.default_text is None:
        return column
    values, _ = parse(column, pa.array([source.default_text], pa.string()))
    return attrs.evolve(column, default=values[0] if values[0].is_valid else None)


def select_expression(source: SourceColumn, quoted: str) -> tuple[str, bool]:
    """The SQL expression by which a snapshot reads the column, and whether ADBC gives ``column.type`` for it.

    If not it gives the text of the type's output function, which is what the log carries: a cast to text does that
    for most built-in types; types made by users may have a cast of their own.
    """
    entry = _entry(source)
    oid = _oid(source)
    if entry.native:
        return quoted, True
    if oid in CAST_DIFFERS or oid >= FIRST_USER_OID:
        return f"CASE num_nulls({quoted}) WHEN 0 THEN concat({quoted}) END", False
    return f"({quoted})::text", False


def _oid(source: SourceColumn) -> int:
    return source.base_oid or source.type_oid


def _entry(source: SourceColumn) -> Entry:
    oid = _oid(source)
    if source.element_oid and oid not in _NOT_ARRAYS:
        return _ARRAY
    return TABLE.get(oid, _TEXT)


def _numeric(source: SourceColumn) -> pa.DataType:
    """numeric(p, s) as declared; a negative scale becomes more digits, a scale above the precision raises it."""
    typmod = source.base_typmod if source.base_oid and source.base_oid != source.type_oid else source.typmod
    if typmod < 4:
        return UNBOUNDED_NUMERIC
    precision = (typmod - 4) >> 16 & 0xFFFF
    scale = ((typmod - 4 & 0x7FF) ^ 0x400) - 0x400
    digits = max(precision - min(scale, 0), scale)
    return pa.decimal128(digits, max(scale, 0)) if digits <= MAX_PRECISION else UNBOUNDED_NUMERIC
