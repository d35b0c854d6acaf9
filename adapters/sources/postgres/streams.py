"""Which table a stream reads, whether it can be captured, and the schema it has there.

Following a table through the log is ``tracking``'s work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from adapters.sources.postgres import types
from adapters.sources.postgres.catalog import KINDS, Catalog, Table
from adapters.sources.postgres.publication import GENERATED_SINCE, Publication
from adapters.sources.postgres.relation import SourceColumn
from adapters.sources.postgres.sql import RelationName
from pipeline.domain.errors import ConfigError, SourceRejected
from pipeline.domain.naming import column_names
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode, StreamSpec


@attrs.frozen
class Capture:
    """A stream and the table it reads. ``taken`` are the table's columns that the stream has, in order."""

    spec: StreamSpec
    table: Table
    taken: tuple[SourceColumn, ...]
    schema: StreamSchema


@attrs.frozen
class Selection:
    """Which columns a stream leaves out: those configured, those the log cannot carry, those not published."""

    has_generated: bool
    published: frozenset[str] | None = None

    def takes(self, column: SourceColumn, spec: StreamSpec) -> bool:
        """Whether the stream has this column."""
        return column.name not in spec.exclude and self.has(column)

    def has(self, column: SourceColumn) -> bool:
        """Whether the log has this column."""
        if self.published is not None and column.name not in self.published:
            return False
        return not column.generated or (column.generated == "s" and self.has_generated)


def selection(version: int, publication: Publication | None, *, managed: bool, table: Table) -> Selection:
    """How columns of a table are chosen under a publication that is found, or will be made."""
    if managed or publication is None:
        return Selection(has_generated=version >= GENERATED_SINCE)
    published = publication.published.get(table.name, (None, False))[0]
    return Selection(has_generated=publication.has_generated, published=published)


def relation_name(spec: StreamSpec) -> RelationName:
    """The relation that a stream reads; raises ``ConfigError``."""
    try:
        return RelationName.parse(spec.relation)
    except ValueError:
        raise ConfigError(
            f"relation of stream {spec.name} is not written as schema.table",
            where=f"stream {spec.name}",
            hint='Quote a part that has a dot in it: "odd.schema".table.',
        ) from None


def capture(
    catalog: Catalog,
    specs: Collection[StreamSpec],
    *,
    version: int,
    publication: Publication | None,
    managed: bool,
    where: str,
) -> dict[str, Capture]:
    """Find and check the table of every stream; raises ``SourceRejected`` naming all that cannot be captured."""
    names = {spec.name: relation_name(spec) for spec in specs}
    tables = catalog.named(names.values())
    reasons: dict[str, str] = {}
    captures: dict[str, Capture] = {}
    for spec in specs:
        table = tables.get(names[spec.name])
        reason = f"table {names[spec.name]} does not exist" if table is None else refusal(table, spec.mode)
        if table is None or reason:
            reasons[spec.name] = reason or ""
            continue
        chosen = selection(version, publication, managed=managed, table=table)
        lost = [table.column(number).name for number in table.key if not chosen.takes(table.column(number), spec)]
        if lost:
            reasons[spec.name] = f"key column {', '.join(lost)} is left out"
            continue
        taken = tuple(column for column in table.columns if chosen.takes(column, spec))
        captures[spec.name] = Capture(spec, table, taken, schema_of(taken, table.key))
    if reasons:
        raise rejected(reasons, where)
    return captures


def refuse_absent(captures: Mapping[str, Capture], where: str) -> None:
    """Raise ``SourceRejected`` for columns that are left out by name and not there: a slip would copy the real ones."""
    reasons = {}
    for stream, found in captures.items():
        absent = absent_exclusions(found.spec, found.table)
        if absent:
            reasons[stream] = f"exclude names {', '.join(absent)}, which {found.table.name} does not have"
    if reasons:
        raise rejected(reasons, where, hint="Correct exclude of the stream in the pipeline file.")


def absent_exclusions(spec: StreamSpec, table: Table) -> list[str]:
    """The columns that a stream leaves out by name and the table does not have."""
    return sorted(spec.exclude - {column.name for column in table.columns})


def rejected(
    reasons: Mapping[str, str], where: str, *, hint: str = "Mend the table, or take the stream out of the pipeline."
) -> SourceRejected:
    """The refusal of streams, each with its reason."""
    listed = "; ".join(f"{stream}: {reason}" for stream, reason in sorted(reasons.items()))
    return SourceRejected(
        f"{len(reasons)} stream(s) cannot be captured: {listed}",
        where=where,
        hint=hint,
        streams=sorted(reasons),
    )


def refusal(table: Table, mode: Mode | None) -> str | None:
    """Why a table cannot be captured in a mode (None: in any mode), None if it can (A13, B12)."""
    if table.kind not in {"r", "p"}:
        return f"{table.name} is a {KINDS.get(table.kind, 'relation')}, which the log does not speak of"
    if table.persistence != "p":
        return f"{table.name} is {'unlogged' if table.persistence == 'u' else 'temporary'}, so it is not in the log"
    if not table.is_readable:
        return f"the role may not read {table.name} (grant USAGE on its schema and SELECT on it)"
    if table.is_secured:
        return f"row level security hides rows of {table.name} from the role (give it BYPASSRLS)"
    if not table.can_log_deletes:
        return (
            f"publishing {table.name} would make updates and deletes at the source fail, for want of "
            "a replica identity (add a primary key, or set REPLICA IDENTITY FULL and mode append)"
        )
    if not table.key and mode is not Mode.APPEND and mode is not None:
        return f"{table.name} has no key, so it can only be captured in mode append"
    return None


def schema_of(columns: Sequence[SourceColumn], key: Iterable[int]) -> StreamSchema:
    """The stream's schema of these columns; ``key`` are attnums."""
    made = columns_of(columns)
    by_number = {column.source_id: column.name for column in made}
    return StreamSchema(made, tuple(by_number[number] for number in key))


def columns_of(columns: Sequence[SourceColumn]) -> tuple[Column, ...]:
    """The stream's columns, under names that any warehouse can hold side by side."""
    names = column_names(column.name for column in columns)
    return tuple(types.column_of(column, name=names[column.name]) for column in columns)
