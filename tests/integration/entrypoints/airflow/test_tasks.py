"""What tasks make of credentials and of errors, and whom they tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import airflow_programs
from tests.support.airflow_shop import AWAY, BROKEN, airflow_environment, write_pipeline
from tests.support.dag_runner import DagRunner
from tests.support.keys import pem

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def environment(home: Path) -> dict[str, str]:
    """Without any source that is there."""
    environment = airflow_environment(home, {"PW": "swordfish-canary"})
    write_pipeline(home, "away", AWAY)
    write_pipeline(home, "broken", BROKEN)
    return environment


def test_a_file_that_is_wrong_fails_at_once_and_says_why(airflow: DagRunner) -> None:
    result, output = airflow.run("broken")
    assert (result["state"], result["tasks"]) == (
        "failed",
        {"decide": "failed", **dict.fromkeys(("approve", "load 0", "check", "all_loaded"), "upstream_failed")},
    )
    assert "source.kind: is postgras; allowed: " in output


def test_connections_and_variables_of_airflow_hold_credentials(airflow: DagRunner, home: Path) -> None:
    write_pipeline(
        home,
        "keys",
        "source: {kind: postgres, dsn: '${CRM_DSN}'}\nstreams: {people: }\n"
        "warehouse: {kind: snowflake, account: '${SF__ACCOUNT}', user: '${SF__LOGIN}', database: '${SF_DATABASE}',\n"
        "  private_key: '${SF__PRIVATE_KEY_CONTENT}', private_key_passphrase: '${SF__PASSWORD}'}\n",
    )
    key = pem("of the key")
    connection = {
        "conn_type": "snowflake",
        "login": "PIPELINE",
        "password": "of the key",
        "extra": {"account": "myorg-myaccount", "private_key_content": key},
    }
    held = {
        "AIRFLOW_CONN_CRM_DSN": "postgres://app:secret@db.example.com:5432/crm",
        "AIRFLOW_CONN_SF": json.dumps(connection),
        "AIRFLOW_VAR_SF_DATABASE": "RAW",
    }
    assert airflow.call(airflow_programs.credentials, held, name="keys")[0] == [
        "postgresql://app:secret@db.example.com:5432/crm",
        {
            "account": "myorg-myaccount",
            "user": "PIPELINE",
            "database": "RAW",
            "private_key": key,
            "private_key_passphrase": "of the key",
        },
    ]


def test_a_source_that_is_away_is_left_to_the_retries_and_its_password_stays_secret(airflow: DagRunner) -> None:
    (retries, is_final, cause, text), output = airflow.call(airflow_programs.load_fails, name="away")
    assert (retries, is_final, cause) == (3, False, "None")
    assert "PostgreSQL could not be reached" in text
    assert "swordfish-canary" not in text + output


def test_an_error_that_nobody_thought_of_is_told_by_its_class_and_places_alone(airflow: DagRunner) -> None:
    failure, output = airflow.call(airflow_programs.anything_fails, name="away", canary="a-value-canary")
    assert failure == [False, "None", "unexpected ValueError; this is a defect"]
    assert "airflow_programs.py" in output
    assert "a-value-canary" not in output


def test_a_task_that_is_told_to_stop_is_tried_again(airflow: DagRunner) -> None:
    failure, _ = airflow.call(airflow_programs.stopped, name="away")
    assert failure == [False, "None", "stopped"]


def test_people_are_told_of_a_task_whose_process_is_gone(airflow: DagRunner) -> None:
    _, output = airflow.call(airflow_programs.task_is_gone, {"AIRFLOW_BASE_URL": "https://airflow.example.com/"})
    assert "task load of group 1 failed after 3 attempts: its process is gone without a word" in output
    run = "https://airflow.example.com/dags/notes/runs/scheduled__2026-01-01T00:00:00%2B00:00"
    assert f"See {run}." in output
