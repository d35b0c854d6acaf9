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


def test_whatever_the_account_has_set_otherwise_and_statements_rely_on_is_pinned() -> None:
    assert parameters() == {
        "QUERY_TAG": '{"product":"realtime-data-pipeline","pipeline":"crm"}',
        "TIMEZONE": "UTC",
        "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
        "TIMESTAMP_INPUT_FORMAT": "AUTO",
        "DATE_INPUT_FORMAT": "AUTO",
        "TIME_INPUT_FORMAT": "AUTO",
        "BINARY_INPUT_FORMAT": "HEX",
        "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
        "DEFAULT_DDL_COLLATION": "",
        "ERROR_ON_NONDETERMINISTIC_MERGE": True,
        "ROWS_PER_RESULTSET": 0,
        "USE_CACHED_RESULT": True,
        "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
        "ABORT_DETACHED_QUERY": True,
        "STATEMENT_TIMEOUT_IN_SECONDS": 70,
        "LOCK_TIMEOUT": 7,
        "AUTOCOMMIT": True,  # by the argument of that name
        "CLIENT_PREFETCH_THREADS": 4,  # the connector's own
    }
