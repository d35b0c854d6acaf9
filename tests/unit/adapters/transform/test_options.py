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


#: Every variable of the profile; the child gets all of them, so that its parent's environment cannot mix in.
NAMES = [
    *("ACCOUNT", "USERNAME", "AUTHENTICATOR", "PASSWORD", "PRIVATE_KEY", "PRIVATE_KEY_PATH", "PRIVATE_KEY_PASSPHRASE"),
    *("TOKEN", "WORKLOAD_IDENTITY_PROVIDER", "WORKLOAD_IDENTITY_ENTRA_RESOURCE", "ROLE", "WAREHOUSE", "DATABASE"),
    *("HOST", "PORT", "PROTOCOL"),
]
UNSET = {f"SNOWFLAKE_{name}": "" for name in NAMES}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"user": "u", "password": "canary"}, {"USERNAME": "u", "PASSWORD": "canary"}),
        (
            {"user": "u", "authenticator": "snowflake", "password": "canary"},
            {"USERNAME": "u", "PASSWORD": "canary"},
        ),
        (
            {"user": "u", "private_key": "canary", "private_key_passphrase": "canary"},
            {"USERNAME": "u", "PRIVATE_KEY": "canary", "PRIVATE_KEY_PASSPHRASE": "canary"},
        ),
        (
            {"user": "u", "private_key_file": "/run/secrets/key.p8"},
            {"USERNAME": "u", "PRIVATE_KEY_PATH": "/run/secrets/key.p8"},
        ),
        (
            {"authenticator": "PROGRAMMATIC_ACCESS_TOKEN", "token": "canary"},
            {"AUTHENTICATOR": "programmatic_access_token", "TOKEN": "canary"},
        ),
        ({"authenticator": "oauth", "token": "canary"}, {"AUTHENTICATOR": "oauth", "TOKEN": "canary"}),
        ({"authenticator": "externalbrowser", "user": "u"}, {"AUTHENTICATOR": "externalbrowser", "USERNAME": "u"}),
        (
            {"workload_identity_provider": "azure", "workload_identity_entra_resource": "api://x"},
            {
                "AUTHENTICATOR": "workload_identity",
                "WORKLOAD_IDENTITY_PROVIDER": "azure",
                "WORKLOAD_IDENTITY_ENTRA_RESOURCE": "api://x",
            },
        ),
    ],
)
def test_a_snowflake_warehouse_reaches_the_profile_by_environment_variables_that_are_never_shown(
    given: dict[str, object], expected: dict[str, str]
) -> None:
    place = {"account": "a", "database": "d", "role": "r", "warehouse": "w", "host": "h", "port": 1, "protocol": "http"}
    options = parse("dbt", {"warehouse": SystemSpec("snowflake", "warehouse", {**place, **given, "retry_s": 5.0})})
    placed = {"ACCOUNT": "a", "DATABASE": "d", "ROLE": "r", "WAREHOUSE": "w", "HOST": "h", "PORT": "1"}
    assert options.environment == UNSET | {
        f"SNOWFLAKE_{name}": value for name, value in {**placed, "PROTOCOL": "http", **expected}.items()
    }
    assert (options.target, options.duckdb_path) == ("snowflake", None)
    assert "canary" not in repr(options)


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"connection": "prod"}, "connection"),
        ({"workload_identity_provider": "OIDC", "token_file": "/var/run/token"}, "token_file"),
        ({"oauth_client_id": "c", "oauth_client_secret": "s"}, "oauth_client_id"),
    ],
)
def test_a_way_to_sign_in_that_dbt_does_not_have_is_refused_by_its_name(given: dict[str, object], option: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("dbt", {"warehouse": SystemSpec("snowflake", "warehouse", {"database": "d", **given})})
    assert caught.value.what == f"dbt cannot sign in to Snowflake by {option}"
    assert caught.value.hint.endswith("Or leave out the transform section.")


@pytest.mark.parametrize("warehouse", [None, SystemSpec("memory", "warehouse")])
def test_a_warehouse_that_no_other_process_can_open_is_refused(warehouse: object) -> None:
    with pytest.raises(ConfigError):
        parse("dbt", {"warehouse": warehouse})
