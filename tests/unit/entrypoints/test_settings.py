"""Settings: files, environments, variables, and everything wrong with them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from entrypoints.references import Secrets
from entrypoints.settings import LogSettings, Settings, SnowflakeSettings, load_settings
from pipeline.domain.errors import ConfigError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "base.yaml").write_text(
        "log: {level: INFO, folder: var/logs}\nwarehouse: {kind: duckdb, path: 'var/{pipeline}.duckdb'}\n"
        "batch: {rows: 10, age: 1s}\n"
    )
    (folder / "development.yaml").write_text("log: {level: DEBUG}\n")
    (folder / "production.yaml").write_text("log: {console: json}\nbatch: {rows: 20}\n")
    return folder


def load(config: Path, *, env: str | None = None, log_level: str | None = None, **environment: str) -> Settings:
    return load_settings(config_dir=config, env=env, log_level=log_level, environment=environment)


def test_the_chosen_environment_goes_over_the_base(config: Path) -> None:
    assert load(config, PIPELINE_ENV="production") == Settings(
        env="production",
        home=config.parent,
        config_dir=config,
        log=LogSettings(level="INFO", folder=config.parent / "var/logs", console="json"),
        warehouse={"kind": "duckdb", "path": "var/{pipeline}.duckdb"},
        batch={"rows": 20, "age": "1s"},
    )


def test_development_is_the_default_and_the_option_wins(config: Path) -> None:
    assert load(config).env == "development"
    assert load(config, env="production", PIPELINE_ENV="development").env == "production"


def test_log_level_comes_from_option_then_variable_then_file(config: Path) -> None:
    assert load(config).log.level == "DEBUG"
    assert load(config, LOG_LEVEL="warning").log.level == "WARNING"
    assert load(config, LOG_LEVEL="warning", log_level="error").log.level == "ERROR"


def test_variables_with_the_products_prefix_go_over_the_files(config: Path) -> None:
    settings = load(config, PIPELINE_BATCH__ROWS="30", PIPELINE_LOG__CONSOLE="off", PIPELINE_WORKSPACE="/elsewhere")
    assert (settings.batch["rows"], settings.log.console) == (30, "off")


def test_the_named_variables_work_as_named(config: Path) -> None:
    secrets = Secrets()
    settings = load_settings(
        config_dir=config,
        environment={
            "SNOWFLAKE_ACCOUNT": "acme-eu",
            "SNOWFLAKE_USERNAME": "loader",
            "SNOWFLAKE_PASSWORD": "swordfish",
            "AIRFLOW_BASE_URL": "https://airflow.example.com",
        },
        secrets=secrets,
    )
    assert settings.snowflake == SnowflakeSettings("acme-eu", "loader", "swordfish")
    assert settings.airflow_base_url == "https://airflow.example.com"
    assert secrets.values == {"swordfish"}
    assert "swordfish" not in repr(settings)


def test_every_problem_of_both_files_is_told_at_once(config: Path) -> None:
    (config / "base.yaml").write_text("log: {levle: INFO}\nsnowflake:\n  password: swordfish\n")
    (config / "development.yaml").write_text("log: {level: LOUD}\nlog: {console: auto}\n")
    with pytest.raises(ConfigError) as caught:
        load(config)
    assert str(caught.value).replace(str(config), "config") == (
        "3 configuration problems\n"
        "  config/base.yaml:1: log.levle: is not known here; allowed: level, folder, console, max_size, backups. "
        "Did you mean level?\n"
        "  config/base.yaml:3: snowflake.password: holds a secret that is written out. Put it into an environment "
        "variable or a file, and write ${NAME} or ${file:/run/secrets/name} instead.\n"
        "  config/development.yaml:2: log: is given twice, first in line 1.\n"
        " Mend the keys named above and run the same command again."
    )


def test_a_wrong_value_of_a_variable_is_told(config: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(config, LOG_LEVEL="loud")
    assert "log.level: is LOUD; allowed: DEBUG, INFO, WARNING, ERROR, CRITICAL" in str(caught.value)


def test_an_unknown_environment_names_those_that_exist(config: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(config, env="prodution")
    assert caught.value.what == "there is no environment called prodution; there are: development, production"
    assert caught.value.hint == "Did you mean production?"


def test_the_settings_that_ship_are_good() -> None:
    for env in ("development", "production"):
        assert load_settings(config_dir=Path("config"), env=env, environment={}).env == env


def test_an_environment_may_name_another_kind_of_warehouse_without_undoing_the_base(config: Path) -> None:
    (config / "production.yaml").write_text("warehouse: {kind: snowflake, database: RAW}\n")
    settings = load(config, env="production", PIPELINE_WAREHOUSE__ROLE="LOADER")
    assert settings.warehouse == {"kind": "snowflake", "database": "RAW", "role": "LOADER"}


def test_a_setting_of_the_same_kind_goes_over_the_base_key_by_key(config: Path) -> None:
    (config / "production.yaml").write_text("warehouse: {threads: 2}\n")
    assert load(config, env="production").warehouse == {
        "kind": "duckdb",
        "path": "var/{pipeline}.duckdb",
        "threads": 2,
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"account": "acme-eu", "user": "loader", "password": "swordfish"}),
        ({"user": "other"}, {"account": "acme-eu", "password": "swordfish"}),
        ({"authenticator": "snowflake"}, {"account": "acme-eu", "user": "loader", "password": "swordfish"}),
        ({"private_key_file": "key.p8"}, {"account": "acme-eu", "user": "loader"}),
        ({"authenticator": "externalbrowser"}, {"account": "acme-eu", "user": "loader"}),
        ({"connection": "prod"}, {}),
    ],
)
def test_the_named_variables_fill_what_a_warehouse_leaves_out(
    given: dict[str, object], expected: dict[str, str]
) -> None:
    assert SnowflakeSettings("acme-eu", "loader", "swordfish").defaults(given) == expected


def test_variables_that_are_not_set_fill_nothing() -> None:
    assert SnowflakeSettings().defaults({}) == {}
