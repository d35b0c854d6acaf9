"""What a session of a pipeline pins when it signs in, whatever the account has set."""

from __future__ import annotations

import json

import structlog

from entrypoints.absent import AbsentSource
from entrypoints.container import opened
from pipeline.domain.stream import PipelineSpec, StreamSpec, SystemSpec
from tests.support.snowflake_logins import Logins


def parameters() -> dict[str, object]:
    """Those that came with the sign-in of the warehouse of a pipeline called ``crm``."""
    with Logins() as logins:
        place = {"account": "acme-eu", "database": "RAW", "host": "127.0.0.1", "port": logins.port, "protocol": "http"}
        options = {**place, "user": "loader", "password": "p", "lock_timeout_s": 7, "statement_timeout_s": 70}
        spec = PipelineSpec(
            name="crm",
            source=SystemSpec("postgres", "crm"),
            warehouse=SystemSpec("snowflake", "lake", options),
            streams={"people": StreamSpec("people", "public.people", "crm")},
        )
        absent = AbsentSource("crm", reason="there is none", hint="Do without.")
        with opened(spec, logger=structlog.get_logger(), source=absent) as session:  # type: ignore[arg-type] # has close alone
            session.warehouse.set_transformed("crm", 0)
        return dict(logins.login.data["SESSION_PARAMETERS"])


def test_the_query_history_shows_which_pipeline_a_session_works_for() -> None:
    tag = str(parameters()["QUERY_TAG"])
    assert json.loads(tag) == {"product": "realtime-data-pipeline", "pipeline": "crm"}
