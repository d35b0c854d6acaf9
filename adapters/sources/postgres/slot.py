"""The replication slot: what the server keeps for the pipeline, and whether reading can go on from a checkpoint.

Reading from it is ``receiver``'s work.
"""

from __future__ import annotations

import select
import time

import attrs
from psycopg import OperationalError, pq
from psycopg.pq.abc import PGconn, PGresult

from adapters.sources.postgres import sql
from adapters.sources.postgres.connection import Connector, Session, exchange, refuse_failure, server_error, sqlstate_of
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.errors import LogLost, PipelineError, SourceRejected
from pipeline.domain.position import Position
from pipeline.ports.source import LogState, LogStatus

#: The one component of a PostgreSQL position.
LSN = "lsn"

#: SQLSTATE of a slot that somebody reads.
IN_USE = "55006"
#: SQLSTATE of a slot that is there already.
EXISTS = "42710"
_CANCEL_S = 10.0

_NO_SLOT = "42704"
_ALL_IN_USE = "53400"

_OPEN_TRANSACTIONS = """
SELECT count(*)::bigint, (array_agg(a.pid ORDER BY a.xact_start))[1:5]::text
  FROM pg_catalog.pg_stat_activity a WHERE a.backend_xid IS NOT NULL"""

_COPY_AGAIN = "Copy all streams again by 'resync PIPELINE --all'; the warehouse keeps what it has until then."


@attrs.frozen
class Slot:
    """A row of pg_replication_slots; LSNs as numbers, ``held_bytes`` the log kept from its restart point on."""

    plugin: str
    database: str
    active_pid: int | None
    is_active: bool
    confirmed: int | None
    wal_status: str
    invalidation: str
    safe_bytes: int | None
    held_bytes: int

    @property
    def is_lost(self) -> bool:
        """Whether the server threw away log that the slot needs."""
        return self.wal_status == "lost" or bool(self.invalidation)

    @property
    def status(self) -> LogStatus:
        """The port's word for it."""
        if self.is_lost:
            return LogStatus.LOST
        return LogStatus.ACTIVE if self.is_active else LogStatus.READY


@attrs.frozen
class Created:
    """A new slot on a connection that must stay open and silent while its exported ``snapshot`` is imported."""

    link: PGconn
    consistent: int
    snapshot: str


def position(lsn: int) -> Position:
    """The position of an LSN."""
    return Position({LSN: lsn})


def lsn_of(place: Position) -> int:
    """The LSN of a position."""
    return int(place.parts[LSN])


def find(session: Session, name: str) -> Slot | None:
    """The slot called so, None if there is none."""
    rows = session.rows(sql.SLOT, name)
    if not rows:
        return None
    plugin, database, active, pid, _, confirmed, wal_status, invalidation, safe, held = rows[0]
    return Slot(
        plugin=plugin or "",
        database=database or "",
        active_pid=pid,
        is_active=active,
        confirmed=sql.lsn_number(confirmed) if confirmed else None,
        wal_status=wal_status or "",
        invalidation=invalidation or "",
        safe_bytes=safe,
        held_bytes=max(int(held or 0), 0),
    )


def end_of_log(session: Session) -> int:
    """Where the next record will be written."""
    return sql.lsn_number(session.value(sql.END_OF_LOG))


def state(session: Session, name: str) -> LogState:
    """What the server keeps under this slot's name."""
    slot, end = find(session, name), end_of_log(session)
    if slot is None:
        return LogState(LogStatus.MISSING, None, position(end))
    detail = slot.invalidation or (f"read by process {slot.active_pid}" if slot.is_active else "")
    confirmed = None if slot.confirmed is None else position(slot.confirmed)
    return LogState(slot.status, confirmed, position(end), slot.held_bytes, detail)


def check(session: Session, name: str, checkpoint: Checkpoint) -> LogState:
    """The log state if reading can go on from the checkpoint; ``LogLost`` with ``facts['case']`` if not (H3)."""
    found = state(session, name)
    wanted = lsn_of(checkpoint.position)
    if lsn_of(found.end) < wanted:
        raise _lost(session, name, "older", _OLDER, checkpoint=wanted, end=lsn_of(found.end))
    if found.status is LogStatus.MISSING:
        raise _lost(session, name, "missing", _MISSING, checkpoint=wanted)
    if found.status is LogStatus.LOST:
        raise _lost(session, name, "invalidated", _INVALIDATED, checkpoint=wanted, reason=found.detail)
    if found.confirmed is not None and lsn_of(found.confirmed) > wanted:
        raise _lost(session, name, "ahead", _AHEAD, checkpoint=wanted, confirmed=lsn_of(found.confirmed))
    return found


_OLDER = (
    "the server's log ends before the checkpoint: it was restored, or is another or an older server",
    f"Make sure that the right server is configured. {_COPY_AGAIN}",
)
_MISSING = ("the replication slot does not exist: it was dropped, or did not survive a failover", _COPY_AGAIN)
_INVALIDATED = (
    "the server has invalidated the replication slot and thrown away log that was not read yet",
    f"Raise max_slot_wal_keep_size or run more often. {_COPY_AGAIN}",
)
_AHEAD = (
    "the replication slot has moved beyond the checkpoint: somebody else read from it, or the warehouse was restored",
    _COPY_AGAIN,
)


def _lost(session: Session, name: str, case: str, words: tuple[str, str], **facts: object) -> LogLost:
    return LogLost(words[0], where=f"{session.where}, slot {name}", hint=words[1], case=case, **facts)


def create(connector: Connector, session: Session, name: str, *, temporary: bool, timeout_s: float) -> Created:
    """Create a slot; waits for transactions that are open now, at most ``timeout_s``."""
    link = connector.replication()
    try:
        result = _patient(link, sql.create_slot(name, temporary=temporary), session, timeout_s=timeout_s)
        values = [result.get_value(0, column) or b"" for column in range(3)]
    except BaseException:
        link.finish()
        raise
    return Created(link, sql.lsn_number(values[1].decode()), values[2].decode())


def drop(session: Session, name: str, *, wait_s: float) -> None:
    """Drop the slot if it exists; while somebody reads it, wait, then raise ``SourceRejected`` naming the process."""
    backoff = Backoff(wait_s)
    while find(session, name) is not None:
        try:
            session.rows("SELECT pg_catalog.pg_drop_replication_slot(%s)", name)
        except PipelineError as error:
            state = error.facts.get("sqlstate")
            if state == _NO_SLOT:
                return
            if state != IN_USE:
                raise
            if not backoff.wait():
                raise in_use(session, name) from None


def start(connector: Connector, session: Session, name: str, text: str, *, wait_s: float) -> PGconn:
    """Open a connection that streams from the slot; while somebody else reads it, wait with backoff (H4)."""
    backoff = Backoff(wait_s)
    while True:
        link = connector.replication()
        result = _started(link, text, session)
        if result.status == pq.ExecStatus.COPY_BOTH:
            return link
        sqlstate = sqlstate_of(result)
        link.finish()
        if sqlstate != IN_USE:
            raise server_error(sqlstate, session.where)
        if not backoff.wait():
            raise in_use(session, name)


def _started(link: PGconn, text: str, session: Session) -> PGresult:
    try:
        return exchange(link, text, where=session.where)
    except TimeoutError:
        link.finish()
        raise server_error(None, session.where) from None


def in_use(session: Session, name: str) -> SourceRejected:
    """The refusal of a slot that another process reads."""
    slot = find(session, name)
    pid = slot.active_pid if slot else None
    return SourceRejected(
        f"another process reads replication slot {name} (server process {pid})",
        where=session.where,
        hint=f"Stop the other run of this pipeline, or end it with: SELECT pg_terminate_backend({pid});",
        pid=pid,
    )


class Backoff:
    """Waits longer and longer, until the time allowed is used up."""

    def __init__(self, allowed_s: float) -> None:
        self._deadline = time.monotonic() + allowed_s
        self._pause_s = 0.05

    def wait(self) -> bool:
        """Wait; False, without waiting, when the time is used up."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(self._pause_s, left))
        self._pause_s = min(self._pause_s * 2, 5.0)
        return True


def _patient(link: PGconn, text: str, session: Session, *, timeout_s: float) -> PGresult:
    """Create a slot, which may have to wait for others' transactions."""
    try:
        result = exchange(link, text, where=session.where, timeout_s=timeout_s)
    except TimeoutError:
        refused = _too_long(session, timeout_s)
        _cancel(link)
        raise refused from None
    except BaseException:
        _cancel(link)
        raise
    sqlstate = sqlstate_of(result)
    if sqlstate == EXISTS:
        raise SourceRejected(
            "the replication slot exists already",
            where=session.where,
            hint="Another pipeline of that name keeps it; give this one a slot of its own, or forget it.",
            sqlstate=sqlstate,
        )
    if sqlstate == _ALL_IN_USE:
        raise SourceRejected(
            "all replication slots are in use",
            where=session.where,
            hint="Raise max_replication_slots.",
            sqlstate=sqlstate,
        )
    refuse_failure(result, session.where)
    return result


def _cancel(link: PGconn) -> None:
    """Have the server give up a command, so that the slot it was making is gone when this returns."""
    if link.status != pq.ConnStatus.OK:
        return
    try:
        link.get_cancel().cancel()
        deadline = time.monotonic() + _CANCEL_S
        while link.is_busy() and time.monotonic() < deadline:
            if select.select([link.socket], [], [], 0.1)[0]:
                link.consume_input()
    except OperationalError:
        return  # the connection is gone, and the command with it


def _too_long(session: Session, timeout_s: float) -> SourceRejected:
    count, pids = session.rows(_OPEN_TRANSACTIONS)[0]
    return SourceRejected(
        f"creating the replication slot waited more than {timeout_s:g} s for {count} open transaction(s)",
        where=session.where,
        hint=f"End the longest running ones (server processes {pids}), then try again.",
    )
