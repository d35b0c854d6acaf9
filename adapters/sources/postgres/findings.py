"""What would stop or harm capturing from a PostgreSQL server, found without changing anything.

Each finding names its remedy; whether to go on is the caller's decision.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from adapters.sources.postgres import publication, slot, streams
from adapters.sources.postgres.catalog import KINDS, Catalog, Table
from adapters.sources.postgres.connection import Connector, Session
from adapters.sources.postgres.options import PostgresOptions
from adapters.sources.postgres.publication import GENERATED_SINCE, Publication
from adapters.sources.postgres.sql import RelationName, quoted
from pipeline.domain.errors import PipelineError
from pipeline.domain.finding import Finding, Level
from pipeline.domain.stream import Mode, StreamSpec

OLDEST, NEWEST = 14, 18

_LARGE_BYTES = 1024**3

_SETTINGS = """
SELECT s.name, s.setting FROM pg_catalog.pg_settings s
 WHERE s.name IN ('wal_level', 'max_replication_slots', 'max_wal_senders', 'max_slot_wal_keep_size',
                  'logical_decoding_work_mem', 'wal_sender_timeout', 'idle_replication_slot_timeout')"""
_IN_USE = """
SELECT (SELECT count(*) FROM pg_catalog.pg_replication_slots), (SELECT count(*) FROM pg_catalog.pg_stat_replication),
       pg_catalog.pg_is_in_recovery()"""
_ROLE = """
SELECT r.rolreplication OR r.rolsuper OR EXISTS (
         SELECT 1 FROM pg_catalog.pg_roles g
          WHERE g.rolname IN ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser')
            AND pg_catalog.pg_has_role(r.oid, g.oid, 'USAGE')),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), r.rolname::text
  FROM pg_catalog.pg_roles r WHERE r.rolname = current_user"""


def inspect(
    session: Session,
    connector: Connector,
    catalog: Catalog,
    options: PostgresOptions,
    specs: Collection[StreamSpec],
) -> tuple[Finding, ...]:
    """Every finding, the server's first, then the slot's, the publication's and each stream's."""
    try:
        session.version  # noqa: B018  # connects
    except PipelineError as error:
        return (Finding.of(error, "connection"),)
    found: list[Finding] = [*_guarded("server", lambda: _server(session))]
    found += _guarded("role", lambda: _role(session, options))
    found += _guarded("replication", lambda: _replication(connector))
    found += _guarded("slot", lambda: _slot(session, options))
    found += _guarded("publication", lambda: _publication(session, catalog, options, specs))
    found += _guarded("tables", lambda: _tables(session, catalog, options, specs))
    return tuple(found)


def _guarded(check: str, produce: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(produce())
    except PipelineError as error:
        return [Finding.of(error, check)]


def _server(session: Session) -> Iterator[Finding]:
    where = session.where
    major = session.version // 10000
    known = OLDEST <= major <= NEWEST
    yield Finding(
        Level.OK if known else Level.WARNING,
        "version",
        f"PostgreSQL {major}",
        where,
        "" if known else f"The pipeline is made for PostgreSQL {OLDEST} to {NEWEST}.",
    )
    if session.is_encrypted:
        yield Finding(Level.OK, "tls", "connections are encrypted", where)
    else:
        yield Finding(Level.INFO, "tls", "connections are not encrypted", where, "Set sslmode to verify-full.")
    settings: dict[str, str] = dict(session.rows(_SETTINGS))
    level = settings["wal_level"]
    yield (
        Finding(Level.OK, "wal_level", "wal_level is logical", where)
        if level == "logical"
        else Finding(
            Level.ERROR, "wal_level", f"wal_level is {level}", where, "Set wal_level = logical and restart the server."
        )
    )
    slots, senders, is_standby = session.rows(_IN_USE)[0]
    if is_standby:
        yield Finding(
            Level.ERROR, "standby", "the server is a standby, which cannot be prepared", where, "Use the primary."
        )
    yield _room("max_replication_slots", int(settings["max_replication_slots"]), slots, where)
    yield _room("max_wal_senders", int(settings["max_wal_senders"]), senders, where)
    work_kb = int(settings["logical_decoding_work_mem"])
    yield Finding(
        Level.INFO,
        "logical_decoding_work_mem",
        f"the server sorts transactions above {work_kb // 1024} MB on its disk",
        where,
        "" if work_kb >= 65536 else "Raise logical_decoding_work_mem to 64MB or more.",
    )


def _room(setting: str, limit: int, used: int, where: str) -> Finding:
    # One for the pipeline, one more while streams are added.
    left = limit - used
    if left >= 2:
        return Finding(Level.OK, setting, f"{left} of {limit} free", where)
    return Finding(
        Level.WARNING if left else Level.ERROR,
        setting,
        f"{left} of {limit} free",
        where,
        f"Raise {setting} and restart.",
    )


def _role(session: Session, options: PostgresOptions) -> Iterator[Finding]:
    may_replicate, may_create, role = session.rows(_ROLE)[0]
    if may_replicate:
        yield Finding(Level.OK, "role", f"role {role} may replicate", session.where)
    else:
        yield Finding(
            Level.ERROR,
            "role",
            f"role {role} may not replicate",
            session.where,
            f"Run: ALTER ROLE {quoted(role)} REPLICATION (on Amazon RDS: GRANT rds_replication TO {quoted(role)}).",
        )
    if options.manage_publication and not may_create:
        yield Finding(
            Level.WARNING,
            "create",
            f"role {role} may not create a publication",
            session.where,
            "Grant CREATE on the database and ownership of the tables, or set manage_publication to false.",
        )


def _replication(connector: Connector) -> Iterator[Finding]:
    """Try it: a pooler in between lets SQL through but no replication (H7)."""
    connector.replication().finish()
    yield Finding(Level.OK, "replication", "a replication connection can be opened", connector.where)


def _slot(session: Session, options: PostgresOptions) -> Iterator[Finding]:
    where = f"{session.where}, slot {options.slot}"
    found = slot.find(session, options.slot)
    settings: dict[str, str] = dict(session.rows(_SETTINGS))
    keep_mb = int(settings["max_slot_wal_keep_size"])
    if keep_mb < 0:
        yield Finding(
            Level.WARNING,
            "max_slot_wal_keep_size",
            "nothing bounds the log that the server keeps: a pipeline that does not run fills its disk",
            where,
            "Set max_slot_wal_keep_size below the free disk space, and alert on held bytes.",
        )
    else:
        yield Finding(Level.INFO, "max_slot_wal_keep_size", f"the server keeps at most {keep_mb} MB of log", where)
    if settings.get("idle_replication_slot_timeout", "0") != "0":
        yield Finding(
            Level.WARNING,
            "idle_replication_slot_timeout",
            "the server invalidates slots that are idle for long",
            where,
            "Run the pipeline more often than that, or set idle_replication_slot_timeout to 0.",
        )
    if found is None:
        yield Finding(Level.INFO, "slot", "the slot does not exist yet", where)
        return
    held = f"{found.held_bytes / 1024**2:.0f} MB of log are kept for it"
    if found.is_lost:
        yield Finding(Level.ERROR, "slot", "the slot is invalidated", where, "The streams have to be copied again.")
    elif found.plugin != "pgoutput":
        yield Finding(Level.ERROR, "slot", f"the slot uses output plugin {found.plugin}", where, "Name another slot.")
    elif found.is_active:
        yield Finding(Level.INFO, "slot", f"the slot is read by server process {found.active_pid}; {held}", where)
    else:
        yield Finding(Level.OK, "slot", f"the slot is ready; {held}", where)
    if found.held_bytes > _LARGE_BYTES and not found.is_lost:
        at_risk = found.wal_status in {"extended", "unreserved"} or keep_mb < 0
        yield Finding(
            Level.WARNING if at_risk else Level.INFO, "held", held, where, "Run the pipeline, or forget the slot."
        )


def _publication(
    session: Session, catalog: Catalog, options: PostgresOptions, specs: Collection[StreamSpec]
) -> Iterator[Finding]:
    name = options.publication
    where = f"{session.where}, publication {name}"
    found = publication.find(session, name)
    named = catalog.named(streams.relation_name(spec) for spec in specs)
    if options.manage_publication:
        yield from _managed(found, named.values(), where)
    else:
        publication.refuse_incomplete(found, name, list(named.values()), where=session.where)
        yield Finding(Level.OK, "publication", "the publication holds every stream", where)
    if found is not None and not found.is_via_root and any(table.kind == "p" for table in named.values()):
        yield Finding(Level.INFO, "partitions", "partitions are published one by one; rows land in their root", where)


def _managed(found: Publication | None, tables: Collection[Table], where: str) -> Iterator[Finding]:
    if found is None:
        yield Finding(Level.INFO, "publication", "the publication will be created", where)
        return
    if not found.is_ours:
        yield Finding(
            Level.WARNING,
            "publication",
            "the publication belongs to another role",
            where,
            "Become a member of its owner, or set manage_publication to false.",
        )
    wanted = {table.oid for table in tables}
    added, removed = len(wanted - set(found.listed)), len(set(found.listed) - wanted)
    if added or removed:
        yield Finding(Level.INFO, "publication", f"{added} table(s) will be added and {removed} taken out", where)
    else:
        yield Finding(Level.OK, "publication", "the publication holds exactly the streams' tables", where)


def _tables(
    session: Session, catalog: Catalog, options: PostgresOptions, specs: Collection[StreamSpec]
) -> Iterator[Finding]:
    found = publication.find(session, options.publication)
    tables = catalog.named(streams.relation_name(spec) for spec in specs)
    for spec in sorted(specs, key=lambda spec: spec.name):
        name = streams.relation_name(spec)
        if name not in tables:
            yield Finding(
                Level.ERROR, "table", f"table {name} does not exist", f"stream {spec.name}", "Mend relation or table."
            )
            continue
        table = tables[name]
        chosen = streams.selection(session.version, found, managed=options.manage_publication, table=table)
        yield from _stream(spec, table, chosen, version=session.version)
    yield from _uncaptured(catalog, tables)


def _stream(spec: StreamSpec, table: Table, chosen: streams.Selection, *, version: int) -> Iterator[Finding]:
    where = f"stream {spec.name}"
    reason = streams.refusal(table, spec.mode)
    if reason:
        yield Finding(Level.ERROR, "table", reason, where, "Mend the table, or take the stream out of the pipeline.")
        return
    yield Finding(Level.OK, "table", f"{table.name} can be captured", where)
    absent = streams.absent_exclusions(spec, table)
    if absent:
        # Not an error: a column that was dropped since the copy is no reason to stop.
        what = f"exclude names {', '.join(absent)}, which {table.name} does not have"
        yield Finding(Level.WARNING, "exclude", what, where, "Correct exclude: a new copy is refused with it.")
    left_out = [column.name for column in table.columns if column.generated and not chosen.has(column)]
    if left_out:
        virtual = version >= GENERATED_SINCE
        why = "virtual or unpublished" if virtual else "not in the log before PostgreSQL 18"
        yield Finding(
            Level.INFO,
            "generated",
            f"generated column(s) {', '.join(left_out)} are left out: {why}",
            where,
            "Compute them in the stg_ model.",
        )
    if table.kind == "p":
        yield Finding(
            Level.INFO,
            "partitions",
            f"partitions of {table.name} that are truncated, attached or detached by themselves are not in the log",
            where,
            f"After that resync {spec.name}; verify finds it.",
        )
    if table.identity == "f" and table.primary and table.has_toast and spec.mode is not Mode.APPEND:
        yield Finding(
            Level.INFO,
            "identity",
            f"{table.name} has REPLICA IDENTITY FULL: every update and delete logs the whole old row",
            where,
            "REPLICA IDENTITY DEFAULT is enough, and cheaper for large values.",
        )


def _uncaptured(catalog: Catalog, tables: dict[RelationName, Table]) -> Iterator[Finding]:
    """Relations beside the streams' tables that nobody captures, so that none is forgotten (B12)."""
    schemas = {name.namespace for name in tables}
    roots = {table.oid for table in tables.values()}
    for table in catalog.all():
        if table.name.namespace not in schemas or table.oid in roots or table.root_oid in roots or table.is_partition:
            continue
        reason = streams.refusal(table, None)
        kind = KINDS[table.kind]
        yield Finding(
            Level.INFO,
            "uncaptured",
            f"{kind} {table.name} is not captured" + (f" and could not be: {reason}" if reason else ""),
            table.name.namespace,
        )
