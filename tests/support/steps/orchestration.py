"""Steps about when runs start, and what has to be agreed to before."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from pytest_bdd import given, parsers, then, when

from adapters.sources.postgres import build_detector
from pipeline.application.risks import Risks, risks
from pipeline.ports.changes import Look
from tests.support.postgres import wait_for
from tests.support.world import SOURCE, World


class Looker:
    """What was looked at, and what was seen."""

    def __init__(self, world: World) -> None:
        self.look: Look | None = None
        self.risks: Risks | None = None
        self.kept_from: object = None
        self._world = world
        self._detector = build_detector(SOURCE, {"dsn": world.dsn}, pipeline=world.database)

    def looks(self) -> Look:
        """One more look, as somebody who never looked before; once whoever read the log has really left."""
        wait_for(lambda: not self._world.rows("SELECT 1 FROM pg_replication_slots WHERE active"), timeout_s=60)
        return self._detector.look(tuple(self._world.streams.values()))

    def looks_again(self) -> Look:
        """One more look, as somebody who remembers the last."""
        since = self.look.mark if self.look else None
        return self._detector.look(tuple(self._world.streams.values()), since=since)

    def close(self) -> None:
        """Disconnect."""
        self._detector.close()


@pytest.fixture
def looker(world: World) -> Iterator[Looker]:
    looker = Looker(world)
    yield looker
    looker.close()


@given("the source has thrown away what it kept for the pipeline")
def log_is_lost(world: World) -> None:
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")


@given("somebody has seen that a run is due")
def has_seen(looker: Looker) -> None:
    looker.look = looker.looks()
    assert looker.look.has_changes


@when("somebody looks for changes again")
def looks_again(looker: Looker) -> None:
    looker.look = looker.looks_again()


@when("somebody looks for changes")
def looks(world: World, looker: Looker) -> None:
    looker.kept_from = kept_from(world)
    looker.look = looker.looks()


@when("somebody asks what a run would risk")
def asks(world: World, looker: Looker) -> None:
    session = world.session()
    looker.risks = risks(session, large_count=0)
    session.source.close()


@then(parsers.re("(?P<whether>a|no) run is due"))
def is_due(looker: Looker, whether: str) -> None:
    assert looker.look is not None
    assert looker.look.has_changes is (whether == "a")


@then("the source keeps the log as before")
def keeps_log(world: World, looker: Looker) -> None:
    assert looker.kept_from is not None
    assert kept_from(world) == looker.kept_from


@then("the next run leaves nothing to do")
def nothing_left(world: World, looker: Looker) -> None:
    world.run()
    assert not looker.looks().has_changes


@then("a gap is told of")
def gap(looker: Looker) -> None:
    assert looker.risks is not None
    # Closing it copies the table again, of whose size the server knows nothing yet.
    assert [finding.check for finding in looker.risks.findings] == ["gap", "copy"]


@then("nothing is told of")
def nothing_told(looker: Looker) -> None:
    assert looker.risks == Risks()


def kept_from(world: World) -> object:
    """Up to where the source was told to forget, None if it keeps nothing for us."""
    rows = world.rows(
        f"SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = 'rdp_{world.database}'"
    )
    return rows[0][0] if rows else None
