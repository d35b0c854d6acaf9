from pathlib import Path

import pytest

from adapters.transform.options import DbtOptions, parse
from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import SystemSpec

PROJECT = Path(__file__).resolve().parents[4] / "dbt"


def test_a_duckdb_pipeline_needs_nothing_but_its_warehouse() -> None:
    warehouse = SystemSpec("duckdb", "warehouse", {"path": "/data/shop.duckdb"})
    assert parse("dbt", {"warehouse": warehouse}) == DbtOptions(
        name="dbt",
        project=PROJECT,
        profiles=PROJECT,
        target="duckdb",
        environment={"DUCKDB_PATH": "/data/shop.duckdb"},
        duckdb_path=Path("/data/shop.duckdb"),
    )


def test_every_option_is_taken() -> None:
    warehouse = SystemSpec("duckdb", "warehouse", {"path": "/data/shop.duckdb", "memory_limit_bytes": 1000})
    options = {
        "warehouse": warehouse,
        "project": "/p",
        "profiles": "/q",
        "target": "other",
        "select": ["tag:a", "tag:b"],
        "work": "/w",
        "environment": {"MORE": 1},
        "lock_timeout_s": 1.5,
        "timeout_s": 2,
    }
    assert parse("dbt", options) == DbtOptions(
        name="dbt",
        project=Path("/p"),
        profiles=Path("/q"),
        target="other",
        select=("tag:a", "tag:b"),
        work=Path("/w"),
        environment={"DUCKDB_PATH": "/data/shop.duckdb", "MORE": "1"},
        duckdb_path=Path("/data/shop.duckdb"),
        memory_limit_bytes=1000,
        lock_timeout_s=1.5,
        timeout_s=2.0,
    )


def test_a_selection_may_be_one_text() -> None:
    warehouse = SystemSpec("duckdb", "warehouse", {"path": "x"})
    assert parse("dbt", {"warehouse": warehouse, "select": "tag:a tag:b"}).select == ("tag:a", "tag:b")


def test_a_snowflake_warehouse_reaches_the_profile_by_environment_variables_that_are_never_shown() -> None:
    warehouse = SystemSpec("snowflake", "warehouse", {"account": "a", "username": "u", "password": "canary", "x": "y"})
    options = parse("dbt", {"warehouse": warehouse})
    assert options.environment == {
        "SNOWFLAKE_ACCOUNT": "a",
        "SNOWFLAKE_USERNAME": "u",
        "SNOWFLAKE_PASSWORD": "canary",
    }
    assert (options.target, options.duckdb_path) == ("snowflake", None)
    assert "canary" not in repr(options)


@pytest.mark.parametrize("warehouse", [None, SystemSpec("memory", "warehouse")])
def test_a_warehouse_that_no_other_process_can_open_is_refused(warehouse: object) -> None:
    with pytest.raises(ConfigError):
        parse("dbt", {"warehouse": warehouse})
