"""What a database has that could be streams, and how each would best be read, as far as its catalog tells.

Reading them is ``extractor``'s affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa
from sqlalchemy.engine.reflection import Inspector

from adapters.sources.sql.database import Database, Described
from adapters.sources.sql.errors import translated
from adapters.sources.sql.reading import Reading
from adapters.sources.sql.relation import RelationName
from pipeline.domain.errors import PipelineError
from pipeline.domain.schema import StreamSchema
from pipeline.ports.source import Relation

#: Names of columns that are set anew whenever a row is written.
_TOUCHED = re.compile(r"(^|_)(updated?|modified|modification|changed?|touched)(_|$)|^last_?(updated?|modified|change)")


def discover(database: Database) -> tuple[Relation, ...]:
    """Tables and views of the schemas that are not the database's own."""
    with translated(database.where):
        inspector = database.inspector()
        named = list(_names(inspector, database))
    return tuple(_relation(database, inspector, name, kind=kind) for name, kind in named)


def indexed_columns(inspector: Inspector, name: RelationName) -> set[str]:
    """The columns that an index begins with, keys included."""
    schema = name.schema or None
    found: list[Sequence[str | None]] = [
        *(index["column_names"] for index in inspector.get_indexes(name.name, schema=schema)),
        *(unique["column_names"] for unique in inspector.get_unique_constraints(name.name, schema=schema)),
        inspector.get_pk_constraint(name.name, schema=schema)["constrained_columns"],
    ]
    return {str(columns[0]) for columns in found if columns and columns[0]}


def _names(inspector: Inspector, database: Database) -> Iterator[tuple[RelationName, str]]:
    for schema in database.schemas(inspector):
        for kind, names in (
            ("table", inspector.get_table_names(schema=schema or None)),
            ("view", inspector.get_view_names(schema=schema or None)),
        ):
            for name in names:
                yield RelationName(schema, name), kind


def _relation(database: Database, inspector: Inspector, name: RelationName, *, kind: str) -> Relation:
    shown = name.shown(default=database.name_of("x").schema)
    try:
        described = database.describe(Reading(shown), exclude=frozenset())
        columns = [selected.column for selected in described.columns]
        key = tuple(described.selected(part).column.name for part in described.key)
        with translated(database.where):
            read = _suggested(described, indexed_columns(inspector, name)) if kind == "table" else {}
        count = database.estimate(name) if kind == "table" else None
        return Relation(shown, kind, StreamSchema(tuple(columns), key), estimated_count=count, read=read)
    except PipelineError as error:
        return Relation(shown, kind, StreamSchema(()), reason=error.what)


def _suggested(described: Described, indexed: set[str]) -> dict[str, object]:
    """A cursor where a column says when its row was written and an index makes that cheap to ask; else all rows are
    compared, which is right for any table.
    """
    for selected in described.columns:
        column = selected.column
        is_touched = pa.types.is_timestamp(column.type) and _TOUCHED.search(column.source_name.lower())
        if described.key and is_touched and column.source_name in indexed:
            return {"cursor": column.source_name, "deletes": "diff"}
    return {}
