"""A pipeline file whose warehouse is Snowflake."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from entrypoints.pipeline_file import load_pipeline
from entrypoints.references import Secrets
from entrypoints.settings import Settings, SnowflakeSettings, load_settings
from pipeline.domain.stream import SystemSpec
from tests.support.pipeline_files import DSN, load, problems

SOURCE = "source: {kind: postgres, host: h}\nstreams: {people: }\n"


def snowflake(settings: Settings, section: str, **environment: str) -> SystemSpec:
    """The warehouse that a section means where the environment names account, user and password."""
    known = attrs.evolve(settings, snowflake=SnowflakeSettings("acme-eu", "loader", "${not-a-reference}"))
    return load(known, f"{SOURCE}warehouse: {section}\n", **environment).spec.warehouse


def test_a_snowflake_warehouse_takes_account_user_and_password_from_the_named_variables(settings: Settings) -> None:
    assert snowflake(settings, "{kind: snowflake, database: RAW}") == SystemSpec(
        "snowflake",
        "snowflake",
        {"database": "RAW", "account": "acme-eu", "user": "loader", "password": "${not-a-reference}"},
    )


def test_a_snowflake_warehouse_says_all_of_it_itself(settings: Settings) -> None:
    section = """
  kind: snowflake
  account: acme-us
  user: other
  authenticator: programmatic_access_token
  token: ${PAT}
  role: LOADER
  warehouse: LOADING
  database: RAW
  host: snowflake.example.com
  port: 8443
  protocol: https
  transient_changelogs: true
  upload_threads: 2
  retry: 5m
  statement_timeout: 30m
  lock_timeout: 90s
  work_folder: var/work
"""
    assert snowflake(settings, section, PAT="t").options == {
        "account": "acme-us",
        "user": "other",
        "authenticator": "programmatic_access_token",
        "token": "t",
        "role": "LOADER",
        "warehouse": "LOADING",
        "database": "RAW",
        "host": "snowflake.example.com",
        "port": 8443,
        "protocol": "https",
        "transient_changelogs": True,
        "upload_threads": 2,
        "retry_s": 300.0,
        "statement_timeout_s": 1800.0,
        "lock_timeout_s": 90.0,
        "work_folder": str(settings.home / "var/work"),
    }


def test_everything_wrong_with_a_snowflake_warehouse_is_told_at_once(settings: Settings) -> None:
    text = f"""{SOURCE}warehouse:
  kind: snowflake
  user: loader
  databse: RAW
  protocol: ftp
  retry: soon
  private_key_file: no-such.p8
"""
    assert problems(settings, text) == [
        "3 warehouse.account: is missing|Set it, or the environment variable SNOWFLAKE_ACCOUNT, to "
        "ORGANIZATION-ACCOUNT.",
        "3 warehouse.database: is missing|",
        "6 warehouse.databse: is not known here|Did you mean database?",
        "7 warehouse.protocol: is ftp; allowed: https, http|",
        "8 warehouse.retry: is soon; write a duration such as 200ms, 10s, 1m30s, 2h or 1d|",
        "9 warehouse.private_key_file: cannot be read: No such file or directory|Name a PEM file that this user may "
        "read.",
    ]


@pytest.mark.parametrize("key", ["password", "private_key", "private_key_passphrase", "token", "oauth_client_secret"])
def test_a_secret_of_a_snowflake_warehouse_that_is_written_out_is_refused(settings: Settings, key: str) -> None:
    text = f"{SOURCE}warehouse: {{kind: snowflake, account: a, user: u, database: RAW, {key}: swordfish}}\n"
    told = [line for line in problems(settings, text) if line.startswith(f"3 warehouse.{key}: ")]
    assert told == [
        f"3 warehouse.{key}: holds a secret that is written out|Put it into an environment variable or a file, and "
        "write ${NAME} or ${file:/run/secrets/name} instead."
    ]


def test_the_secrets_of_a_snowflake_warehouse_are_masked_from_then_on(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "pat").write_text("swordfish\n")
    secrets = Secrets()
    path = settings.config_dir / "pipelines" / "crm.yaml"
    path.write_text(
        f"{SOURCE}warehouse: {{kind: snowflake, account: a, database: RAW, authenticator: oauth, "
        f"token: '${{file:{tmp_path}/pat}}'}}\n"
    )
    load_pipeline("crm", settings, environment={}, secrets=secrets)
    assert secrets.values == {"swordfish"}


def test_a_pipeline_goes_to_snowflake_by_its_warehouse_section_alone(tmp_path: Path) -> None:
    settings = load_settings(config_dir=Path("config"), environment={})
    shipped = Path("config/pipelines/shop.yaml").read_text(encoding="utf-8")
    section = "warehouse:\n  kind: duckdb\n  path: var/demo/shop.duckdb\n"
    assert section in shipped
    partners = {"SHOP_RATES_URL": "http://rates.example.com", "SHOP_RATES_KEY": "key", "SHOP_PRICES": "prices"}
    environment = {"SHOP_DSN": DSN, "SNOWFLAKE_PASSWORD": "swordfish", **partners}
    on_duckdb = load_pipeline("shop", settings, environment=environment).groups
    with_snowflake = """warehouse:
  kind: snowflake
  account: acme-eu
  user: loader
  password: ${SNOWFLAKE_PASSWORD}
  role: LOADER
  warehouse: LOADING
  database: RAW
"""
    path = tmp_path / "shop.yaml"
    path.write_text(shipped.replace(section, with_snowflake), encoding="utf-8")
    on_snowflake = load_pipeline(str(path), settings, environment=environment).groups
    assert [attrs.evolve(group, warehouse=on_duckdb[0].warehouse) for group in on_snowflake] == list(on_duckdb)
    assert {group.warehouse.kind for group in on_snowflake} == {"snowflake"}
    assert [group.group for group in on_snowflake] == ["shop", "fx__rates", "suppliers__prices"]
