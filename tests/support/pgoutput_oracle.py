"""A second, naive decoder of pgoutput: one message, one row, one value at a time; the oracle of the real one.

It follows the protocol's documentation and shares no code with the adapter.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_UNCHANGED = object()


def decode(frames: Iterable[bytes], tracked: Callable[[int, bytes], Any], *, epoch: int) -> dict[str, list[dict]]:
    """The rows of each stream as dicts like ``table.to_pylist()``; ``tracked`` maps oid and Relation message."""
    relations: dict[int, Any] = {}
    rows: dict[str, list[dict]] = {}
    commit_lsn, commit_at, ordinal = 0, _EPOCH, 0
    for frame in frames:
        message = frame[25:]
        kind = message[:1]
        if kind == b"B":
            commit_lsn, micros = struct.unpack_from(">QQ", message, 1)
            commit_at, ordinal = _EPOCH + timedelta(microseconds=micros), 0
        elif kind == b"R":
            (oid,) = struct.unpack_from(">I", message, 1)
            relations[oid] = tracked(oid, message)
        elif kind in b"IUD" and kind:
            (oid,) = struct.unpack_from(">I", message, 1)
            _row(relations[oid], message, kind, _stamp(epoch, commit_lsn, ordinal, commit_at), rows)
            ordinal += 1
        elif kind == b"T":
            (count,) = struct.unpack_from(">I", message, 1)
            for oid in struct.unpack_from(f">{count}I", message, 6):
                relation = relations[oid]
                if relation is not None and commit_lsn >= relation.since:
                    row = {column.name: None for column in relation.schema.columns}
                    row |= {"_cdc_op": 3, **_stamp(epoch, commit_lsn, ordinal, commit_at), "_cdc_unchanged": None}
                    if relation.schema.key:
                        row["_cdc_old_key"] = None
                    rows.setdefault(relation.stream, []).append(row)
                ordinal += 1
    return rows


def _stamp(epoch: int, commit_lsn: int, ordinal: int, commit_at: datetime) -> dict:
    packed = (((epoch << 64) | commit_lsn) << 2 | 1) << 44 | ordinal
    return {"_cdc_sequence": Decimal(packed), "_cdc_commit_at": commit_at}


def _row(relation: Any, message: bytes, kind: bytes, stamp: dict, rows: dict[str, list[dict]]) -> None:
    if relation is None or int(stamp["_cdc_sequence"]) >> 46 & (1 << 64) - 1 < relation.since:
        return
    marker, at = message[5:6], 6
    old: list | None = None
    if kind == b"D":
        new, at = _tuple(message, at)
    elif marker in (b"K", b"O"):
        old, at = _tuple(message, at)
        assert message[at : at + 1] == b"N"
        new, at = _tuple(message, at + 1)
    else:
        new, at = _tuple(message, at)
    assert at == len(message)
    if old is not None:
        new = [
            before if value is _UNCHANGED and before is not None else value
            for before, value in zip(old, new, strict=True)
        ]
    pairs = [(column, value) for column, value in zip(relation.columns, new, strict=True) if column is not None]
    row = {column.name: None if value is _UNCHANGED else convert(column, value) for column, value in pairs}
    unchanged = [column.name for column, value in pairs if value is _UNCHANGED]
    row |= {"_cdc_op": b"IUD".index(kind), **stamp, "_cdc_unchanged": unchanged or None}
    if relation.schema.key:
        row["_cdc_old_key"] = None
        if old is not None:
            before = {
                column.name: convert(column, value)
                for column, value in zip(relation.columns, old, strict=True)
                if column is not None and column.name in relation.schema.key
            }
            ordered = {name: before[name] for name in relation.schema.key}
            if any(ordered[name] != row[name] for name in ordered):
                row["_cdc_old_key"] = ordered
    rows.setdefault(relation.stream, []).append(row)


def _tuple(message: bytes, at: int) -> tuple[list, int]:
    (count,) = struct.unpack_from(">H", message, at)
    at += 2
    values: list = []
    for _ in range(count):
        kind = message[at : at + 1]
        at += 1
        if kind == b"t":
            (length,) = struct.unpack_from(">I", message, at)
            values.append(message[at + 4 : at + 4 + length].decode())
            at += 4 + length
        else:
            values.append(None if kind == b"n" else _UNCHANGED)
    return values, at


def convert(column: Any, text: str | None) -> Any:
    """One value, by Python's own parsers."""
    kind = column.type
    if text is None:
        return None
    if pa.types.is_boolean(kind):
        return text == "t"
    if pa.types.is_integer(kind):
        return int(text)
    if pa.types.is_float32(kind):
        return struct.unpack("f", struct.pack("f", float(text)))[0]
    if pa.types.is_floating(kind):
        return float(text)
    if pa.types.is_decimal(kind):
        return Decimal(text)
    if pa.types.is_date(kind):
        return date.fromisoformat(text)
    if pa.types.is_timestamp(kind):
        return datetime.fromisoformat(text)
    if pa.types.is_binary(kind):
        return bytes.fromhex(text[2:])
    return text
