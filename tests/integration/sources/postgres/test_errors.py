"""What is told of a driver's error: our words, its class and SQLSTATE, and nothing of its text (P10)."""

from __future__ import annotations

import pytest

import adapters.sources.postgres
from adapters.sources.postgres.connection import Connector, Session
from adapters.sources.postgres.options import parse_options
from entrypoints.demo.server import EmbeddedPostgres
from pipeline.domain.errors import PipelineError, SourceUnreachable

CANARY = "canary-90b1"

pytestmark = pytest.mark.integration


def told(error: PipelineError) -> tuple[str, str, dict[str, object], object]:
    """All that anybody can be told; without a cause and with its context suppressed no driver's error is shown."""
    assert error.__suppress_context__
    return error.what, error.where, error.facts, error.__cause__


@pytest.mark.parametrize("place", ["db.invalid:5432", "127.0.0.1:1"], ids=["unknown host", "closed port"])
def test_of_a_server_out_of_reach_its_place_alone_is_told(place: str) -> None:
    source = adapters.sources.postgres.build("crm", {"dsn": f"postgresql://u:{CANARY}@{place}/crm"}, pipeline="crm")
    with pytest.raises(SourceUnreachable) as caught:
        source.discover()
    assert told(caught.value) == ("PostgreSQL could not be reached", f"{place}/crm", {}, None)


@pytest.mark.parametrize(
    ("statement", "state"),
    [(f"SELECT '{CANARY}'::int", "22P02"), (f'SELECT 1 FROM "{CANARY}"', "42P01"), ("SELECT 1/0", "22012")],
)
def test_of_a_failed_statement_the_class_and_sqlstate_are_told(
    server: EmbeddedPostgres, statement: str, state: str
) -> None:
    options = parse_options("crm", {"dsn": server.dsn()}, pipeline="crm")
    session = Session(Connector(options))
    try:
        with pytest.raises(PipelineError) as caught:
            session.rows(statement)
    finally:
        session.close()
    what, where, facts, cause = told(caught.value)
    assert (where, facts["sqlstate"], cause) == (options.where, state, None)
    assert what in {f"PostgreSQL failed a statement ({state})", f"PostgreSQL refused a statement ({state})"}
    assert set(facts) == {"sqlstate", "error_class"}
