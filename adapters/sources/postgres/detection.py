"""Whether a slot holds changes to load: first the statistics of the captured tables, then one peeked change.

Statistics cost next to nothing but count what was rolled back too; the log is only looked at when they moved.
https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-STATS-FUNCTIONS
"""

from __future__ import annotations

import select
import time
from collections.abc import Collection

import attrs
from psycopg import OperationalError, pq
from psycopg.pq.abc import PGconn

from adapters.sources.postgres import slot, sql
from adapters.sources.postgres.connection import Connector, Session, exchange, server_error, sqlstate_of
from adapters.sources.postgres.options import PostgresOptions
from adapters.sources.postgres.segments import keepalive_end, row_message
from adapters.sources.postgres.streams import relation_name
from pipeline.domain.stream import StreamSpec
from pipeline.ports.changes import Look

#: How long the log is looked through before a run has to move it on.
_PEEK_S = 10.0
_GOODBYE_S = 5.0

#: A fingerprint of what happened to tables and their partitions; TRUNCATE shows in the file alone. NULL where the
#: server does not count.
_FINGERPRINT = """
WITH named AS (
  SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE (n.nspname::text, c.relname::text) IN (SELECT * FROM unnest(%s::text[], %s::text[]))),
tables AS (
  SELECT named.oid FROM named
   UNION SELECT p.relid::oid FROM named, LATERAL pg_catalog.pg_partition_tree(named.oid) p)
SELECT CASE WHEN pg_catalog.current_setting('track_counts')::bool THEN md5(coalesce(string_agg(concat_ws(':',
         t.oid, pg_catalog.pg_relation_filenode(t.oid), pg_catalog.pg_stat_get_tuples_inserted(t.oid),
         pg_catalog.pg_stat_get_tuples_updated(t.oid), pg_catalog.pg_stat_get_tuples_deleted(t.oid)),
         ',' ORDER BY t.oid), '')) END
  FROM tables t"""


class PostgresDetector:
    """The port's ``ChangeDetector`` over the slot of ``options``."""

    def __init__(self, options: PostgresOptions) -> None:
        self._options = options
        self._connector = Connector(options)
        self._session = Session(self._connector)

    @property
    def rest_s(self) -> float:
        """None: statistics cost next to nothing."""
        return 0.0

    def look(self, streams: Collection[StreamSpec], *, since: str | None = None) -> Look:
        """Compare statistics with the last mark; where they moved, look for the first change in the log.

        A mark is the statistics, and behind a look that told of changes the slot's confirmed position then: as long as
        that stands, what was told of waits to be loaded, and the log need not be looked through again.
        """
        found = slot.find(self._session, self._options.slot)
        if found is None or found.is_lost:
            state = "missing" if found is None else "lost"
            return Look(since != state, state)
        known, _, told_at = (since or "").partition(" ")
        if found.is_active:
            return Look(False, since or "", is_read=True)
        if told_at == str(found.confirmed):
            return Look(False, since or "")
        # Before the log is looked at: what comes in between moves it once more.
        counted = self._fingerprint(streams)
        if counted is not None and counted == known:
            return Look(False, counted)
        seen = self._peek(counted or "", since=since or "")
        return attrs.evolve(seen, mark=f"{seen.mark} {found.confirmed}") if seen.has_changes else seen

    def look_behind(self, streams: Collection[StreamSpec], *, since: str | None = None) -> Look:
        """Compare statistics with the last mark; where they moved, wait until the reader has confirmed all up to there.

        A mark is the statistics that were told of, then those that were seen last and the end of the log then.
        """
        told, seen, end = (since.split() if since else ["-", "-", "0"])[:3]
        found = slot.find(self._session, self._options.slot)
        if found is None or not found.is_active:
            return Look(False, f"{told} {seen} {end}")
        mark = self._fingerprint(streams) or str(found.confirmed)
        if mark != seen:
            seen, end = mark, str(slot.end_of_log(self._session))
        is_loaded = seen != told and (found.confirmed or 0) >= int(end)
        return Look(is_loaded, f"{seen if is_loaded else told} {seen} {end}", is_read=True)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _fingerprint(self, streams: Collection[StreamSpec]) -> str | None:
        names = [relation_name(spec) for spec in streams]
        found: str | None = self._session.value(
            _FINGERPRINT, [name.namespace for name in names], [name.name for name in names]
        )
        return found

    def _peek(self, mark: str, *, since: str) -> Look:
        end = slot.end_of_log(self._session)
        link = self._connector.replication()
        try:
            text = sql.start_replication(self._options.slot, self._options.publication, after=0)
            result = exchange(link, text, where=self._session.where)
            if result.status != pq.ExecStatus.COPY_BOTH:
                sqlstate = sqlstate_of(result)
                if sqlstate == slot.IN_USE:
                    return Look(False, since, is_read=True)
                raise server_error(sqlstate, self._session.where)
            has_changes = _has_row(link, end)
            _part(link)
            return Look(has_changes, mark)
        except OperationalError:
            raise server_error(None, self._session.where) from None
        finally:
            link.finish()


def _has_row(link: PGconn, end: int) -> bool:
    """Whether a row's change comes before the log's ``end``; True too where that takes too long to tell. Nothing is
    ever confirmed: no status is sent.
    """
    deadline = time.monotonic() + _PEEK_S
    while time.monotonic() < deadline:
        size, view = link.get_copy_data(1)
        if size < 0:
            raise server_error(None, "")
        if size == 0:
            select.select([link.socket], [], [], deadline - time.monotonic())
            link.consume_input()
        elif row_message(view):
            return True
        elif keepalive_end(view) >= end:
            return False
    return True


def _part(link: PGconn) -> None:
    """Leave in good order, so that the slot is free at once: the server lets go of it between the end of the copy and
    that of the command.
    """
    deadline = time.monotonic() + _GOODBYE_S
    link.put_copy_end()
    link.flush()
    has_copied = False
    while (left := deadline - time.monotonic()) > 0:
        if not has_copied:
            size, _ = link.get_copy_data(1)
            has_copied = size < 0
            is_waiting = size == 0
        elif not (is_waiting := bool(link.is_busy())) and link.get_result() is None:
            return
        if is_waiting:
            select.select([link.socket], [], [], left)
            link.consume_input()
