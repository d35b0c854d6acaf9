"""The SQL that is sent to PostgreSQL, built from names that are quoted here and nowhere else.

Running it is the caller's; values are always bound, so only names and options appear in texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen(order=True)
class RelationName:
    """The name of a table: its schema and its own."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> RelationName:
        """Read ``schema.table`` (``public`` if only one part is given); a part with a dot or quote in it is quoted.

        Names are taken as they are: nothing is folded to lower case.
        """
        parts = _split(text)
        if len(parts) == 1:
            return cls("public", parts[0])
        if len(parts) != 2 or not all(parts):
            raise ValueError("a relation is written schema.table")
        return cls(parts[0], parts[1])

    @property
    def quoted(self) -> str:
        """The name as SQL."""
        return f"{quoted(self.namespace)}.{quoted(self.name)}"

    def __str__(self) -> str:
        return ".".join(quoted(part) if set(part) & {".", '"'} else part for part in (self.namespace, self.name))


def quoted(name: str) -> str:
    """An identifier as SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL, for replication commands, which cannot bind values."""
    if "\\" in text:
        return " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + text.replace("'", "''") + "'"


def lsn_text(lsn: int) -> str:
    """A log position as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    """The number behind PostgreSQL's notation of a log position."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def create_slot(slot: str, *, temporary: bool) -> str:
    """Create a logical slot and export the snapshot it starts from. The old option syntax holds for 14 to 18."""
    return f"CREATE_REPLICATION_SLOT {quoted(slot)}{' TEMPORARY' if temporary else ''} LOGICAL pgoutput EXPORT_SNAPSHOT"


def start_replication(slot: str, publication: str, *, after: int) -> str:
    """Start streaming whole transactions, text values, with logical messages."""
    options = f"proto_version '1', publication_names {literal(quoted(publication))}, messages 'true'"
    return f"START_REPLICATION SLOT {quoted(slot)} LOGICAL {lsn_text(after)} ({options})"


def lock_tables(names: Sequence[RelationName]) -> str:
    """Keep tables from being truncated or rewritten; partitions are locked with their root."""
    return f"LOCK TABLE {', '.join(name.quoted for name in names)} IN ACCESS SHARE MODE"


def select_rows(name: RelationName, expressions: Sequence[str], *, only: bool) -> str:
    """Read a whole table; ``only`` leaves inheriting tables out, which the log describes as tables of their own."""
    return f"SELECT {', '.join(expressions) or 'NULL'} FROM {'ONLY ' if only else ''}{name.quoted}"


def create_publication(name: str, tables: Sequence[str], *, generated: bool) -> str:
    """Create a publication of tables already written as SQL; ``generated`` publishes stored generated columns (18)."""
    options = "publish_via_partition_root = true"
    if generated:
        options += ", publish_generated_columns = stored"
    listed = f" FOR TABLE {', '.join(tables)}" if tables else ""
    return f"CREATE PUBLICATION {quoted(name)}{listed} WITH ({options})"


def set_tables(name: str, tables: Sequence[str], *, verb: str) -> str:
    """Change the tables of a publication; ``verb`` is ADD or DROP."""
    return f"ALTER PUBLICATION {quoted(name)} {verb} TABLE {', '.join(tables)}"


def set_options(name: str, *, generated: bool) -> str:
    """Bring a publication's options in line."""
    options = "publish = 'insert, update, delete, truncate', publish_via_partition_root = true"
    if generated:
        options += ", publish_generated_columns = stored"
    return f"ALTER PUBLICATION {quoted(name)} SET ({options})"


def comment_publication(name: str, comment: str) -> str:
    """Record what the pipeline has to remember of a publication."""
    return f"COMMENT ON PUBLICATION {quoted(name)} IS {literal(comment)}"


#: The relations of given schemas and names, or oids, or all of the user's. One row each. Rows and bytes of a
#: partitioned table are its partitions': of its own it has none.
RELATIONS = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text, c.relreplident::text,
       c.relispartition, coalesce(pg_catalog.pg_partition_root(c.oid)::oid, c.oid)::bigint,
       pg_catalog.row_security_active(c.oid),
       pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT'),
       CASE WHEN c.relkind <> 'p' THEN c.reltuples ELSE (
         SELECT coalesce(sum(l.reltuples) FILTER (WHERE l.reltuples >= 0), -1)
           FROM pg_catalog.pg_partition_tree(c.oid) p JOIN pg_catalog.pg_class l ON l.oid = p.relid
          WHERE p.isleaf) END::bigint,
       CASE WHEN c.relkind <> 'p' THEN pg_catalog.pg_table_size(c.oid) ELSE (
         SELECT sum(pg_catalog.pg_table_size(p.relid)) FROM pg_catalog.pg_partition_tree(c.oid) p
          WHERE p.isleaf) END::bigint,
       (SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] FROM pg_catalog.pg_index i
         WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate),
       (SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] FROM pg_catalog.pg_index i
         WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid),
       c.reltoastrelid <> 0
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
"""

BY_NAME = """ WHERE (n.nspname::text, c.relname::text) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"""
BY_OID = " WHERE c.oid = ANY(%s::oid[])"
ALL = r""" WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
 ORDER BY n.nspname, c.relname"""

_TYPE = """
  t.typname::text, t.typtype::text, b.oid::bigint, b.typname::text, b.typmod, coalesce(e.oid, 0)::bigint,
  coalesce(e.typname::text, '')"""

#: The type under all domains of a type, and the element type where that is an array.
_BASE = """
  LEFT JOIN LATERAL (
    WITH RECURSIVE chain AS (
      SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typtypmod, t.typcategory, t.typelem,
             {typmod} AS typmod, 0 AS depth
      UNION ALL
      SELECT u.oid, u.typname, u.typtype, u.typbasetype, u.typtypmod, u.typcategory, u.typelem,
             chain.typtypmod, chain.depth + 1
        FROM chain JOIN pg_catalog.pg_type u ON u.oid = chain.typbasetype WHERE chain.typtype = 'd'
    ) SELECT * FROM chain ORDER BY depth DESC LIMIT 1) b ON true
  LEFT JOIN pg_catalog.pg_type e ON b.typcategory = 'A' AND e.oid = b.typelem"""

#: Whether a column's default calls a volatile function: then ADD COLUMN gives each old row a value of its own.
_VOLATILE_DEFAULT = """EXISTS (
         SELECT 1 FROM pg_catalog.pg_attrdef d, LATERAL regexp_matches(d.adbin::text, ':funcid (\\d+)', 'g') f
           JOIN pg_catalog.pg_proc p ON p.oid = f[1]::oid AND p.provolatile = 'v'
          WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum)"""

#: The columns of relations given by oid, dropped ones too, in order.
COLUMNS = f"""
SELECT a.attrelid::bigint, a.attname::text, a.attnum::int, a.atttypid::bigint, a.atttypmod,
       pg_catalog.format_type(a.atttypid, a.atttypmod), {_TYPE}, a.attnotnull, a.attgenerated::text,
       CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END, a.attisdropped,
       NOT a.atthasmissing AND a.attgenerated = '' AND (a.attidentity <> '' OR {_VOLATILE_DEFAULT})
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid {_BASE.format(typmod="a.atttypmod")}
 WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 ORDER BY a.attrelid, a.attnum"""

#: One type by oid and typmod.
TYPE = f"""
SELECT pg_catalog.format_type(t.oid, %s::int), {_TYPE}
  FROM pg_catalog.pg_type t {_BASE.format(typmod="%s::int")}
 WHERE t.oid = %s::oid"""

#: The leaf tables under given tables (the tables themselves where not partitioned), with their files as the
#: transaction's snapshot sees them and as they are now: different when truncated or rewritten in between.
FILES = """
SELECT c.oid::bigint, c.relfilenode::bigint, pg_catalog.pg_relation_filenode(c.oid)::bigint
  FROM pg_catalog.pg_class c
 WHERE c.oid = ANY(%s::oid[]) AND c.relkind = 'r'
    OR c.oid IN (SELECT p.relid FROM unnest(%s::oid[]) r, LATERAL pg_catalog.pg_partition_tree(r) p WHERE p.isleaf)"""

#: The leaf tables under a table.
LEAVES = "SELECT p.relid::oid::bigint FROM pg_catalog.pg_partition_tree(%s::oid) p WHERE p.isleaf"

#: A guess of a table's rows, partitions counted.
ESTIMATE = """
SELECT coalesce(sum(c.reltuples) FILTER (WHERE c.reltuples >= 0), -1)::bigint FROM pg_catalog.pg_class c
 WHERE c.oid = %s::oid AND c.relkind <> 'p'
    OR c.oid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree(%s::oid) p WHERE p.isleaf)"""

SLOT = """
SELECT s.plugin::text, s.database::text, s.active, s.active_pid, s.restart_lsn::text, s.confirmed_flush_lsn::text,
       s.wal_status, to_jsonb(s) ->> 'invalidation_reason', s.safe_wal_size::bigint,
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn)::bigint
  FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = %s"""

#: A publication: all tables?, via root?, operations, stored generated columns?, owned by us?, comment.
PUBLICATION = """
SELECT p.puballtables, p.pubviaroot, p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate,
       coalesce(to_jsonb(p) ->> 'pubgencols', 'n') = 's', pg_catalog.pg_has_role(p.pubowner, 'USAGE'),
       coalesce(pg_catalog.obj_description(p.oid, 'pg_publication'), '')
  FROM pg_catalog.pg_publication p WHERE p.pubname = %s"""

#: The tables that a publication lists one by one: oid, the oid of the entry itself.
LISTED = """
SELECT r.prrelid::bigint, r.oid::bigint, n.nspname::text, c.relname::text FROM pg_catalog.pg_publication_rel r
  JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE p.pubname = %s ORDER BY r.prrelid"""

#: Everything that a publication publishes: its columns and row filter from 15 on.
PUBLISHED = """
SELECT t.schemaname::text, t.tablename::text,
       (SELECT array_agg(x) FROM jsonb_array_elements_text(nullif(to_jsonb(t) -> 'attnames', 'null')) x),
       to_jsonb(t) ->> 'rowfilter' IS NOT NULL
  FROM pg_catalog.pg_publication_tables t WHERE t.pubname = %s"""

END_OF_LOG = "SELECT pg_catalog.pg_current_wal_insert_lsn()::text"
EMIT = "SELECT pg_catalog.pg_logical_emit_message(true, %s, '')"


def _split(text: str) -> list[str]:
    """Cut at dots outside of double quotes."""
    parts, current, inside, index = [], "", False, 0
    while index < len(text):
        character = text[index]
        if inside and text[index : index + 2] == '""':
            current, index = current + '"', index + 1
        elif character == '"':
            inside = not inside
        elif character == "." and not inside:
            parts.append(current)
            current = ""
        else:
            current += character
        index += 1
    if inside:
        raise ValueError("a quoted name does not end")
    return [*parts, current]
