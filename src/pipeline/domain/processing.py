"""Processors and masks: what happens to a batch's values before they are judged and loaded.

Which processors and masks a stream has is configuration's; judging the outcome is ``validation``'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol, assert_never

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.change import OLD_KEY, SEQUENCE, ChangeBatch, Misfit, change_schema
from pipeline.domain.errors import ConfigError, PipelineError
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.valuetext import one_array, plain, texts

REDACTED = "***"


class Mask(Enum):
    """How a column's values are made unreadable: their SHA-256, a constant, or null. Null values stay null."""

    HASH = "hash"
    REDACT = "redact"
    NULL = "null"


class Processor(Protocol):
    """A step of one's own that changes values of a batch.

    It keeps the schema, the rows and their order, and every metadata column; it sees values before they are masked.
    """

    def __call__(self, batch: ChangeBatch) -> ChangeBatch:
        """The batch with other values."""
        ...


class ProcessorFailed(PipelineError):
    """A processor gave back a batch that is not the one it was given with other values."""


def process(
    batch: ChangeBatch, *, masks: Mapping[str, str], processors: Sequence[Processor] = (), salt: str = ""
) -> ChangeBatch:
    """The batch after the processors in order, then with its columns masked, its misfits and old keys too.

    Masks of columns that the batch does not have do nothing (``check_masks`` tells of them). ``salt`` goes before
    each text that is hashed. Raises ``ProcessorFailed`` for a processor that breaks its word.
    """
    for processor in processors:
        batch = _checked(batch, processor)
    wanted = {name: Mask(mask) for name, mask in masks.items() if name in batch.schema.names}
    if not wanted:
        return batch
    schema = processed_schema(batch.schema, masks, salt=salt)
    table = batch.table
    columns = [
        _masked(table[name], wanted[name], salt=salt) if name in wanted else table[name] for name in schema.names
    ]
    rest = {name: table[name] for name in table.column_names[len(columns) :]}
    if OLD_KEY in rest and any(name in wanted for name in schema.key):
        rest[OLD_KEY] = _masked_key(one_array(rest[OLD_KEY]), schema, wanted, salt=salt)
    misfits = tuple(_masked_misfit(misfit, wanted.get(misfit.column), salt=salt) for misfit in batch.misfits)
    return ChangeBatch(
        batch.stream, schema, pa.table([*columns, *rest.values()], schema=change_schema(schema)), misfits
    )


def process_rows(
    schema: StreamSchema, rows: pa.Table, *, masks: Mapping[str, str], salt: str = ""
) -> tuple[StreamSchema, pa.Table]:
    """Rows (data columns of ``schema``) with their columns masked, and the schema that they then have."""
    masked = processed_schema(schema, masks, salt=salt)
    columns = [
        _masked(rows[name], Mask(masks[name]), salt=salt) if name in masks else rows[name] for name in schema.names
    ]
    return masked, pa.table(columns, schema=masked.arrow())


def processed_schema(schema: StreamSchema, masks: Mapping[str, str], *, salt: str = "") -> StreamSchema:
    """The schema that a batch has after ``process``: hashed and redacted columns become text."""
    if not any(name in masks for name in schema.names):
        return schema
    return schema.with_columns([_masked_column(column, masks.get(column.name), salt=salt) for column in schema.columns])


def check_masks(schema: StreamSchema, masks: Mapping[str, str]) -> None:
    """Raise ``ConfigError``, naming every problem, for masks that this schema cannot have.

    Those are unknown masks, masks of columns that do not exist, and masks of key columns other than ``hash``, since
    rows could no longer be told apart.
    """
    known = [mask.value for mask in Mask]
    problems = []
    for name, mask in masks.items():
        if mask not in known:
            problems.append(f"{name} has the mask {mask!r}, which is none of {', '.join(known)}")
        elif name not in schema.names:
            problems.append(f"there is no column {name}")
        elif name in schema.key and mask != Mask.HASH.value:
            problems.append(f"the key column {name} has the mask {mask}, but keys can only be hashed")
    if problems:
        raise ConfigError(
            f"The masks cannot be used: {'; '.join(problems)}.",
            where="masks",
            hint="Correct the masks of the stream in the pipeline file.",
        )


def _checked(batch: ChangeBatch, processor: Processor) -> ChangeBatch:
    result = processor(batch)
    metadata = batch.table.column_names[len(batch.schema.columns) :]
    if result.stream != batch.stream or result.schema != batch.schema:
        fault = "stream or schema"
    elif result.table.schema != batch.table.schema:
        fault = "columns"
    elif result.row_count != batch.row_count or not result.table[SEQUENCE].equals(batch.table[SEQUENCE]):
        fault = "rows or their order"
    elif not all(_same(result.table[name], batch.table[name]) for name in metadata):
        fault = "metadata"
    else:
        return result
    raise ProcessorFailed(
        f"A processor changed the {fault} of a batch.",
        where=f"stream {batch.stream}, processor {getattr(processor, '__name__', type(processor).__name__)}",
        hint="Processors may change values only.",
    )


def _same(left: pa.ChunkedArray, right: pa.ChunkedArray) -> bool:
    """Whether two columns hold the same values, NaN in an old key included."""
    return bool(left.equals(right)) or (
        pa.types.is_struct(left.type) and texts(one_array(left)).equals(texts(one_array(right)))
    )


def _masked_column(column: Column, mask: str | None, *, salt: str) -> Column:
    if mask is None:
        return column
    kind = Mask(mask)
    if kind is Mask.NULL:
        return attrs.evolve(column, nullable=True, default=None)
    default = column.default
    if default is not None:
        default = _masked(pa.array([default.as_py()], column.type), kind, salt=salt)[0]
    return attrs.evolve(column, type=pa.string(), json=False, default=default)


def _masked(values: pa.Array | pa.ChunkedArray, mask: Mask, *, salt: str) -> pa.Array:
    if mask is Mask.HASH:
        return _hashed(one_array(plain(values)), salt)
    if mask is Mask.REDACT:
        return pc.if_else(one_array(values).is_valid(), REDACTED, pa.scalar(None, pa.string()))
    if mask is Mask.NULL:
        return pa.nulls(len(values), values.type)
    assert_never(mask)


def _hashed(values: pa.Array, salt: str) -> pa.Array:
    """Hashes each distinct value once."""
    if pa.types.is_nested(values.type):
        values = texts(values)
    coded = values.dictionary_encode()
    seed = hashlib.sha256(salt.encode())
    digests = []
    for text in texts(coded.dictionary).to_pylist():
        digest = seed.copy()
        digest.update(text.encode())
        digests.append(digest.hexdigest())
    return pa.array(digests, pa.string()).take(coded.indices)


def _masked_key(old: pa.StructArray, schema: StreamSchema, wanted: Mapping[str, Mask], *, salt: str) -> pa.Array:
    fields = [pc.struct_field(old, name) for name in schema.key]
    masked = [
        _masked(values, wanted[name], salt=salt) if name in wanted else values
        for name, values in zip(schema.key, fields, strict=True)
    ]
    return pa.StructArray.from_arrays(masked, fields=list(schema.key_type()), mask=old.is_null())


def _masked_misfit(misfit: Misfit, mask: Mask | None, *, salt: str) -> Misfit:
    if mask is None:
        return misfit
    return attrs.evolve(misfit, texts=_masked(misfit.texts, mask, salt=salt))
