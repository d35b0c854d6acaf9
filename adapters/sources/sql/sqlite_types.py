"""What SQLite's declared types become, and how values that are not of their column's type are told apart.

SQLite keeps any value in any column: what a column is meant to hold is what it was declared as. TYPES.md has the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs
import pyarrow as pa

from adapters.sources.postgres.values import parse
from adapters.sources.sql import times
from adapters.sources.sql.database import Lost, Selected, as_is
from pipeline.domain.schema import Column

#: Of a number with decimals that was declared without how many.
UNBOUNDED = pa.decimal128(38, 9)

_MOST_DIGITS = 38
_NUMERIC = re.compile(r"(?:DECIMAL|NUMERIC|NUMBER|DEC)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?")
_ZONED = re.compile(r"TIMESTAMPTZ|DATETIMEOFFSET|WITH (?:LOCAL )?TIME ?ZONE")


@attrs.frozen(eq=False, kw_only=True)
class SqliteColumn(Selected):
    """``seed`` is a value of the kind that ``expression`` gives, as SQL; ``order_seed`` one of the kind of ``ordered``.
    ``odd`` is the condition, as SQL, that a value is not of the column's type, "" where it always is; ``reason`` says
    so in words. ``plain`` gives the same as ``expression``, faster, as long as ``hinders`` holds of no row; "": nothing
    does.
    """

    seed: str
    order_seed: str = ""
    odd: str = ""
    reason: str = ""
    plain: str = ""
    hinders: str = ""


@attrs.frozen
class _Family:
    """``{c}`` in texts stands for the column. ``fits`` are the storage classes that a value may have."""

    type: pa.DataType
    fits: tuple[str, ...]
    expression: str
    seed: str
    reason: str
    decode: Callable[[Column, pa.Array], tuple[pa.Array, list[Lost]]] = lambda _, array: as_is(array)
    ordered: str = ""
    order_seed: str = ""
    json: bool = False
    also_odd: str = ""
    plain: str = "{c}"
    hinders: str = ""
    is_coarse: bool = False


#: By SQLite's order of storage classes: numbers, texts, bytes (https://www.sqlite.org/datatype3.html#sort_order).
_IS_NUMBER, _IS_BYTES, _IS_NO_NUMBER = "{c} < ''", "{c} >= x''", "{c} > 9e999"


_INTEGER = _Family(
    pa.int64(), ("integer",), "CASE WHEN typeof({c})='integer' THEN {c} END", "0", "not an integer",
    ordered="{c}", order_seed="0.0", hinders="({c} | 0) <> {c}",
)  # fmt: skip
_REAL = _Family(
    pa.float64(), ("real", "integer"), "CASE WHEN typeof({c}) IN ('real','integer') THEN {c} END", "0.0",
    "not a number", ordered="{c}", order_seed="0.0", hinders=_IS_NO_NUMBER,
)  # fmt: skip
_TEXT = _Family(
    pa.string(), ("text", "integer", "real"), "CASE WHEN typeof({c})<>'blob' THEN CAST({c} AS TEXT) END", "''",
    "bytes in a column of text", decode=lambda column, array: parse(column, array), ordered="{c} COLLATE BINARY",
    order_seed="''", hinders=f"{_IS_NUMBER} OR {_IS_BYTES}",
)  # fmt: skip
_JSON = attrs.evolve(
    _TEXT, json=True, ordered="", reason="not a JSON document", plain="",
    expression="CASE WHEN typeof({c})<>'blob' AND json_valid({c}) THEN CAST({c} AS TEXT) END",
    also_odd="{c} IS NOT NULL AND NOT coalesce(json_valid({c}),0)",
)  # fmt: skip
_BYTES = _Family(
    pa.binary(), ("blob", "text"), "CASE WHEN typeof({c}) IN ('blob','text') THEN CAST({c} AS BLOB) END", "x''",
    "a number in a column of bytes", hinders=_IS_NUMBER,
)  # fmt: skip
_FLAG = _Family(
    pa.bool_(), ("integer",), "CASE WHEN typeof({c})='integer' AND {c} IN (0,1) THEN {c} END", "0",
    "neither 0 nor 1", decode=lambda _, array: as_is(array.cast(pa.bool_())), also_odd="{c} NOT IN (0,1)",
    hinders="{c} NOT IN (0,1)",
)  # fmt: skip
_DECIMAL = _Family(
    UNBOUNDED, ("integer", "real", "text"), "CASE WHEN typeof({c})<>'blob' THEN CAST({c} AS TEXT) END", "''",
    "not a number", decode=lambda column, array: parse(column, array), ordered="{c}", order_seed="0.0",
    plain="CAST({c} AS TEXT)", hinders=_IS_BYTES,
)  # fmt: skip
_WHEN = "CASE WHEN typeof({c})='text' THEN {c} END"
_NOT_TEXT = "a number or bytes in a column of dates or times"
_IS_NO_TEXT = f"{_IS_NUMBER} OR {_IS_BYTES}"
_STAMP = _Family(
    pa.timestamp("us"), ("text",), _WHEN, "''", _NOT_TEXT,
    decode=lambda column, array: times.timestamps(array, column.type),
    ordered="CASE WHEN typeof({c})='text' THEN strftime('%Y-%m-%d %H:%M:%f',{c}) END", order_seed="''",
    hinders=_IS_NO_TEXT, is_coarse=True,
)  # fmt: skip
_DATE = _Family(
    pa.date32(), ("text",), _WHEN, "''", _NOT_TEXT, decode=lambda _, array: times.dates(array),
    ordered="CASE WHEN typeof({c})='text' THEN date({c}) END", order_seed="''", hinders=_IS_NO_TEXT,
)  # fmt: skip
_TIME = _Family(
    pa.time64("us"), ("text",), _WHEN, "''", _NOT_TEXT, decode=lambda _, array: times.clock_times(array),
    hinders=_IS_NO_TEXT,
)  # fmt: skip


def column_of(name: str, *, source_name: str, quoted: str, declared: str, nullable: bool) -> SqliteColumn:
    """How a column is read that is called ``name`` in the warehouse and was declared as ``declared``."""
    family = family_of(declared)
    column = Column(
        name,
        family.type,
        nullable=nullable,
        source_name=source_name,
        source_type=declared or "any",
        json=family.json,
    )
    classes = ",".join(f"'{kind}'" for kind in (*family.fits, "null"))
    conditions = [f"typeof({quoted}) NOT IN ({classes})"]
    if family.also_odd:
        conditions.append(family.also_odd.replace("{c}", quoted))
    return SqliteColumn(
        column=column,
        expression=family.expression.replace("{c}", quoted),
        decode=lambda array: family.decode(column, array),
        ordered=family.ordered.replace("{c}", quoted),
        seed=family.seed,
        order_seed=family.order_seed,
        odd=f"({' OR '.join(conditions)})",
        reason=family.reason,
        plain=family.plain.replace("{c}", quoted),
        hinders=family.hinders.replace("{c}", quoted),
        is_coarse=family.is_coarse,
    )


def family_of(declared: str) -> _Family:
    """The line of the table for a declared type, in SQLite's own order of rules where they apply."""
    text = declared.upper().strip()
    if "JSON" in text:
        return _JSON
    if "BOOL" in text:
        return _FLAG
    if "TIMESTAMP" in text or "DATETIME" in text:
        return attrs.evolve(_STAMP, type=pa.timestamp("us", tz="UTC")) if _ZONED.search(text) else _STAMP
    if text.startswith("DATE"):
        return _DATE
    if text.startswith("TIME"):
        return _TIME
    if match := _NUMERIC.fullmatch(text):
        return attrs.evolve(_DECIMAL, type=_decimal(match[1], match[2]))
    if "INT" in text:
        return _INTEGER
    if "BLOB" in text or "BINARY" in text:
        return _BYTES
    if any(word in text for word in ("REAL", "FLOA", "DOUB")):
        return _REAL
    return attrs.evolve(_DECIMAL, type=UNBOUNDED) if text == "NUM" else _TEXT


def _decimal(precision: str | None, scale: str | None) -> pa.DataType:
    if precision is None:
        return UNBOUNDED
    digits, after = int(precision), int(scale or 0)
    return pa.decimal128(digits, after) if 0 < digits <= _MOST_DIGITS and after <= digits else UNBOUNDED
