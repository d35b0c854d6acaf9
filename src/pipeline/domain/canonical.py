"""Canonical JSON of keys and rows: how quarantine writes down what it holds, and how it is read back.

The text of a single value is ``valuetext``'s; which rows are written is decided by ``validation`` and ``holding``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.change import OLD_KEY, UNCHANGED, UNCHANGED_TYPE, Misfit
from pipeline.domain.schema import StreamSchema
from pipeline.domain.unchanged import Unchanged
from pipeline.domain.valuetext import TEXT, is_binary, is_list, is_text, literals, object_texts, one_array, quoted

#: Member of a row's JSON that holds the key before the change, where the change altered it.
OLD_KEY_MEMBER = OLD_KEY
#: Member of the object that stands for a value too large to be kept: its size in bytes of JSON text.
OMITTED_MEMBER = "_cdc_omitted_bytes"

#: How a date or timestamp begins; NumPy would take words such as ``today`` too.
_DATED = re.compile(r"[+-]?\d")


@attrs.frozen(eq=False)
class Decoded:
    """Rows read back: ``table`` has the data columns, ``_cdc_unchanged`` and (with a key) ``_cdc_old_key``.

    ``misfits`` are the values that their column's type cannot hold, as a source reports them.
    """

    table: pa.Table
    misfits: tuple[Misfit, ...] = ()


def key_texts(table: pa.Table, schema: StreamSchema, *, misfits: Sequence[Misfit] = ()) -> pa.Array:
    """The key of each row as a JSON object (large_string); ``{}`` in a stream without a key. The name of a row (see
    ``Misfit``) stands in the first column of the key, beside nulls.
    """
    if not schema.key:
        return pa.repeat(pa.scalar("{}", TEXT), table.num_rows)
    texts = object_texts([(name, _column_literals(table, name, misfits), None) for name in schema.key])
    names = pa.nulls(table.num_rows, TEXT)
    for misfit in misfits:
        names = names if misfit.names is None else _placed(names, misfit, misfit.names)
    if names.null_count == len(names):
        return texts
    others = [(name, pa.repeat(pa.scalar("null", TEXT), len(names)), None) for name in schema.key[1:]]
    return pc.if_else(names.is_valid(), object_texts([(schema.key[0], names, None), *others]), texts)


def old_key_texts(table: pa.Table, schema: StreamSchema) -> pa.Array:
    """The key before the change as a JSON object (large_string), null where the change did not alter it."""
    if not schema.key or table[OLD_KEY].null_count == table.num_rows:
        return pa.nulls(table.num_rows, TEXT)
    old = one_array(table[OLD_KEY])
    text = object_texts([(name, literals(pc.struct_field(old, name)), None) for name in schema.key])
    return pc.if_else(old.is_valid(), text, pa.scalar(None, TEXT))


def row_texts(
    table: pa.Table, schema: StreamSchema, *, misfits: Sequence[Misfit] = (), max_bytes: int | None = None
) -> pa.Array:
    """Each row as a JSON object of its columns in order (large_string), misfits as the source wrote them.

    Columns that the log left out are missing; ``_cdc_old_key`` is added where the change altered the key. In a row
    whose text would exceed ``max_bytes``, values of more than their share are replaced by an object with their size
    and SHA-256, so that the row can be stored at all.
    """
    unchanged = Unchanged.of(table)
    members: list[tuple[str, pa.Array, np.ndarray | None]] = [
        (name, _column_literals(table, name, misfits), unchanged.mask(name)) for name in schema.names
    ]
    old = old_key_texts(table, schema)
    if old.null_count < len(old):
        members.append((OLD_KEY_MEMBER, pc.fill_null(old, "null"), old.is_null().to_numpy(zero_copy_only=False)))
    text = object_texts(members)
    if max_bytes is None:
        return text
    large = pc.greater(pc.binary_length(text), max_bytes)
    if not pc.any(large).as_py():
        return text
    share = max_bytes // (2 * len(members))
    shortened = object_texts([(name, _omit(values, share, large), absent) for name, values, absent in members])
    return pc.if_else(large, shortened, text)


def is_whole(row: str) -> bool:
    """Whether a row's JSON still holds every value, so that it can be loaded again."""
    return OMITTED_MEMBER not in row or not any(
        isinstance(value, dict) and OMITTED_MEMBER in value for value in json.loads(row).values()
    )


def renamed(text: str, old: str, new: str) -> str:
    """A key or row in canonical JSON with its column ``old`` called ``new``, in its old key too; values as they are."""
    members = []
    for name, value in _members(text):
        if name == OLD_KEY_MEMBER and value != "null":
            value = renamed(value, old, new)
        members.append(f"{json.dumps(new if name == old else name, ensure_ascii=False)}:{value}")
    return f"{{{','.join(members)}}}"


def decode_rows(schema: StreamSchema, rows: Iterable[str | None]) -> Decoded:
    """The inverse of ``row_texts``, under ``schema``, which may differ from the one the rows were written with.

    Columns missing in a row count as unchanged. Raises ``ValueError`` for a row whose values were left out.
    """
    documents = [json.loads(row or "{}", parse_float=str, parse_int=str, parse_constant=str) for row in rows]
    if any(isinstance(value, dict) and OMITTED_MEMBER in value for item in documents for value in item.values()):
        raise ValueError("a value of the row was too large to be kept, so the row cannot be loaded again")
    arrays: dict[str, pa.Array] = {}
    misfits = []
    for column in schema.columns:
        arrays[column.name], misfit = _decode_column(column.name, column.type, documents)
        misfits += [misfit] if misfit else []
    left_out = [[name for name in schema.names if name not in document] or None for document in documents]
    arrays[UNCHANGED] = pa.array(left_out, UNCHANGED_TYPE)
    if schema.key:
        old = [document.get(OLD_KEY_MEMBER) for document in documents]
        arrays[OLD_KEY] = pa.array([_read(schema.key_type(), value) for value in old], schema.key_type())
    return Decoded(pa.table(arrays), tuple(misfits))


def decode_values(kind: pa.DataType, texts: Iterable[str | None]) -> pa.Array:
    """The values of ``kind`` from their JSON literals (the inverse of ``valuetext.literals``), null where null.

    Raises ``ValueError`` for a text that is no value of ``kind``.
    """
    documents = [
        None if text is None else json.loads(text, parse_float=str, parse_int=str, parse_constant=str) for text in texts
    ]
    return pa.array([_read(kind, document) for document in documents], kind)


def _members(text: str) -> list[tuple[str, str]]:
    """The members of a JSON object without blanks: each name, and its value's text."""
    decoder, at = json.JSONDecoder(), 1
    found = []
    while at < len(text) - 1:
        name, colon = decoder.raw_decode(text, at)
        _, end = decoder.raw_decode(text, colon + 1)
        found.append((name, text[colon + 1 : end]))
        at = end + 1
    return found


def _column_literals(table: pa.Table, name: str, misfits: Sequence[Misfit]) -> pa.Array:
    values = literals(one_array(table[name]))
    for misfit in misfits:
        if misfit.column == name and len(misfit.rows):
            values = _placed(values, misfit, misfit.told)
    return values


def _placed(values: pa.Array, misfit: Misfit, texts: pa.Array) -> pa.Array:
    rows = misfit.rows.to_numpy(zero_copy_only=False)
    mask = np.zeros(len(values), dtype=bool)
    mask[rows] = True
    spelt = pc.fill_null(quoted(texts.cast(TEXT)), "null").take(pa.array(np.argsort(rows, kind="stable")))
    return pc.replace_with_mask(values, pa.array(mask), spelt)


def _omit(values: pa.Array, share: int, large: pa.Array) -> pa.Array:
    mask = pc.and_(large, pc.greater(pc.binary_length(values), share))
    if not pc.any(mask).as_py():
        return values
    marks = []
    for value in values.filter(mask):
        data = value.as_buffer()
        digest = hashlib.sha256(data).hexdigest()
        marks.append(json.dumps({OMITTED_MEMBER: data.size, "_cdc_sha256": digest}, separators=(",", ":")))
    return pc.replace_with_mask(values, mask, pa.array(marks, TEXT))


def _decode_column(name: str, kind: pa.DataType, documents: list[dict[str, Any]]) -> tuple[pa.Array, Misfit | None]:
    raw = [document.get(name) for document in documents]
    values, failed = [], []
    for number, value in enumerate(raw):
        try:
            item = _read(kind, value)
            pa.scalar(item, kind)
        except (ValueError, TypeError, ArithmeticError):  # pa.ArrowInvalid is a ValueError
            item = None
            failed.append(number)
        values.append(item)
    misfit = None
    if failed:
        spelt = [value if isinstance(value, str) else json.dumps(value) for value in map(raw.__getitem__, failed)]
        misfit = Misfit(name, pa.array(failed, pa.int64()), pa.array(spelt, pa.string()), f"cannot be read as {kind}")
    return pa.array(values, kind), misfit


def _read(kind: pa.DataType, raw: Any) -> Any:
    """A value in the form that ``pa.array`` takes for ``kind``; raises ``ValueError`` or ``ArithmeticError``."""
    if raw is None:
        return None
    if isinstance(kind, pa.BaseExtensionType):
        return _read(kind.storage_type, raw)
    if pa.types.is_dictionary(kind):
        return _read(kind.value_type, raw)
    if pa.types.is_struct(kind):
        return {field.name: _read(field.type, raw.get(field.name)) for field in kind}
    if pa.types.is_map(kind):
        return [(_read(kind.key_type, item["key"]), _read(kind.item_type, item["value"])) for item in raw]
    if is_list(kind):
        return [_read(kind.value_type, item) for item in raw]
    text = str(raw)
    if pa.types.is_boolean(kind):
        return ("false", "true").index(text.lower()) == 1
    if "_" in text and not is_text(kind):
        raise ValueError("Python would read 1_000 as a number")
    return _reader(kind)(text)


def _reader(kind: pa.DataType) -> Callable[[str], Any]:
    if is_text(kind):
        return str
    if is_binary(kind):
        return bytes.fromhex
    if pa.types.is_decimal(kind):
        return Decimal
    if pa.types.is_floating(kind):
        return float
    if pa.types.is_date(kind):
        days = _instant_reader("D")
        return days if kind == pa.date32() else lambda text: days(text) * 86_400_000
    if pa.types.is_timestamp(kind):
        return _instant_reader(kind.unit)
    if pa.types.is_time(kind):
        return dt.time.fromisoformat
    return int


def _instant_reader(unit: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _DATED.match(text):
            raise ValueError("not a date")
        return int(np.array(text.removesuffix("Z"), dtype=f"datetime64[{unit}]").astype(np.int64))

    return read
