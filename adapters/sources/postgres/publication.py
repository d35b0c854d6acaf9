"""The publication: which tables the log speaks of, and since when each has been in it.

What a table must be like to be captured is decided in ``streams``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

import attrs

from adapters.sources.postgres import sql
from adapters.sources.postgres.catalog import Table
from adapters.sources.postgres.connection import Session
from adapters.sources.postgres.sql import RelationName
from pipeline.domain.errors import SourceRejected

_NOTE = "kept by realtime-data-pipeline: "

#: PostgreSQL 18 can publish stored generated columns.
GENERATED_SINCE = 180000


@attrs.frozen
class Entry:
    """A table's entry in the publication: the entry's own oid, and the end of the log when it was first noticed."""

    oid: int
    since: int


@attrs.frozen
class Publication:
    """A publication as found. ``listed`` maps the oids of tables that are listed one by one to their entry's oid and
    name; ``noted`` what was recorded at the last ``align``. ``published`` are all relations with the columns
    published (None: all) and whether rows are filtered.
    """

    name: str
    is_for_all: bool
    is_via_root: bool
    is_complete: bool
    has_generated: bool
    is_ours: bool
    listed: Mapping[int, tuple[int, RelationName]]
    noted: Mapping[int, Entry]
    published: Mapping[RelationName, tuple[frozenset[str] | None, bool]]


def find(session: Session, name: str) -> Publication | None:
    """The publication called so, None if there is none."""
    rows = session.rows(sql.PUBLICATION, name)
    if not rows:
        return None
    is_for_all, is_via_root, is_complete, has_generated, is_ours, comment = rows[0]
    listed = {row[0]: (row[1], RelationName(row[2], row[3])) for row in session.rows(sql.LISTED, name)}
    published = {
        RelationName(row[0], row[1]): (None if row[2] is None else frozenset(row[2]), bool(row[3]))
        for row in session.rows(sql.PUBLISHED, name)
    }
    return Publication(
        name=name,
        is_for_all=is_for_all,
        is_via_root=is_via_root,
        is_complete=is_complete,
        has_generated=has_generated,
        is_ours=is_ours,
        listed=listed,
        noted=_noted(comment),
        published=published,
    )


def align(session: Session, name: str, tables: Collection[Table]) -> None:
    """Make the publication hold exactly these tables and record since when each entry has been in it.

    Raises ``SourceRejected`` with the SQL to run where the role lacks the rights; then nothing is changed.
    """
    found = find(session, name)
    statements = _statements(found, name, tables, generated=session.version >= GENERATED_SINCE)
    try:
        if statements:
            session.script(statements)
    except SourceRejected as error:
        raise SourceRejected(
            f"the role may not change publication {name}",
            where=session.where,
            hint=f"Let its owner run: {'; '.join(statements)};",
            **error.facts,
        ) from None
    _note(session, name, found)


def refuse_incomplete(found: Publication | None, name: str, tables: Collection[Table], *, where: str) -> None:
    """Raise ``SourceRejected`` with the SQL to run unless the publication gives every change of the tables."""
    if found is None:
        statement = sql.create_publication(name, [_target(table) for table in tables], generated=False)
        raise SourceRejected(
            f"publication {name} does not exist", where=where, hint=f"Let a table owner run: {statement};"
        )
    if not found.is_complete:
        raise SourceRejected(
            f"publication {name} leaves operations out",
            where=where,
            hint=f"Let its owner run: {sql.set_options(name, generated=False)};",
        )
    absent = sorted(_target(table) for table in tables if not _publishes(found, table))
    if absent:
        raise SourceRejected(
            f"publication {name} does not publish {', '.join(absent)}",
            where=where,
            hint=f"Let its owner run: {sql.set_tables(name, absent, verb='ADD')}; then copy these streams again.",
        )
    filtered = sorted(str(table.name) for table in tables if found.published.get(table.name, (None, False))[1])
    if filtered:
        raise SourceRejected(
            f"publication {name} filters rows of {', '.join(filtered)}",
            where=where,
            hint="Publish them without a row filter, and filter in the mart.",
        )


def _publishes(found: Publication, table: Table) -> bool:
    # A partitioned table published by its leaves is not among them under its own name, but listed or for all.
    return table.name in found.published or table.oid in found.listed or (found.is_for_all and table.kind == "p")


def _statements(found: Publication | None, name: str, tables: Collection[Table], *, generated: bool) -> list[str]:
    ordered = sorted(tables, key=lambda table: table.name)
    if found is None:
        return [sql.create_publication(name, [_target(table) for table in ordered], generated=generated)]
    if found.is_for_all:
        raise SourceRejected(
            f"publication {name} publishes all tables, which the pipeline does not manage",
            hint="Set manage_publication to false, or name another publication.",
        )
    wanted = {table.oid for table in ordered}
    added = [_target(table) for table in ordered if table.oid not in found.listed]
    removed = sorted(entry[1].quoted for oid, entry in found.listed.items() if oid not in wanted)
    statements = []
    if not found.is_via_root or not found.is_complete or (generated and not found.has_generated):
        statements.append(sql.set_options(name, generated=generated))
    if added:
        statements.append(sql.set_tables(name, added, verb="ADD"))
    if removed:
        statements.append(sql.set_tables(name, removed, verb="DROP"))
    return statements


def _target(table: Table) -> str:
    """Without its inheritors, which are tables of their own; a partitioned table stands for its partitions."""
    return table.name.quoted if table.kind == "p" else f"ONLY {table.name.quoted}"


def _note(session: Session, name: str, before: Publication | None) -> None:
    """Record entries that are new since the last time, at the end of the log as it is now."""
    now = find(session, name)
    if now is None or not now.is_ours:
        return
    end = sql.lsn_number(session.value(sql.END_OF_LOG))
    noted = {
        oid: now.noted[oid] if oid in now.noted and now.noted[oid].oid == entry[0] else Entry(entry[0], end)
        for oid, entry in now.listed.items()
    }
    if noted != now.noted:
        session.script([sql.comment_publication(name, _written(noted))])


def _written(noted: Mapping[int, Entry]) -> str:
    return _NOTE + json.dumps({str(oid): [entry.oid, entry.since] for oid, entry in sorted(noted.items())})


def _noted(comment: str) -> dict[int, Entry]:
    if not comment.startswith(_NOTE):
        return {}
    try:
        return {int(oid): Entry(*entry) for oid, entry in json.loads(comment[len(_NOTE) :]).items()}
    except (ValueError, TypeError, AttributeError):
        return {}
