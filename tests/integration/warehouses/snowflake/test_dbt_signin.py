"""The credentials of a pipeline file reach dbt's own connection, and stay out of everything that dbt writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from adapters.transform import build
from adapters.transform.options import parse
from pipeline.domain.errors import TransformFailed
from pipeline.domain.stream import SystemSpec
from tests.support.keys import KEY, pem
from tests.support.snowflake_logins import WELCOME, Logins, refusal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[4]
CANARY = "canary-7d3f"
PEM = pem("secret")
OIDC = jwt.encode({"iss": "https://k8s.example.com", "sub": "loader"}, "s" * 32)

#: Opens dbt's connection with each environment in turn, as dbt reads it from the project's own profile.
_OPEN = """
import json, os, sys, yaml
from dbt_common.context import set_invocation_context
from dbt.config.profile import Profile
from dbt.config.renderer import ProfileRenderer
from dbt.adapters.contracts.connection import Connection
from dbt.adapters.snowflake.connections import SnowflakeConnectionManager
import dbt.flags
from argparse import Namespace
dbt.flags.set_from_args(Namespace(), {})
raw = yaml.safe_load(open(sys.argv[1]))
for environment in json.load(sys.stdin):
    os.environ.update(environment)
    set_invocation_context(dict(os.environ))
    profile = Profile.from_raw_profiles(raw, "shop", ProfileRenderer({}), target_override="snowflake")
    connection = Connection(type="snowflake", name="test", credentials=profile.credentials)
    SnowflakeConnectionManager.open(connection).handle.close()
"""


@pytest.fixture
def logins() -> Iterator[Logins]:
    with Logins() as listening:
        yield listening


def warehouse(logins: Logins, **given: object) -> SystemSpec:
    place = {"account": "acme-eu", "database": "RAW", "host": "127.0.0.1", "port": logins.port, "protocol": "http"}
    return SystemSpec("snowflake", "warehouse", {**place, **given})


def test_every_way_that_dbt_has_signs_it_in_too(logins: Logins, tmp_path: Path) -> None:
    path = tmp_path / "key.p8"
    path.write_text(PEM)
    ways: list[dict[str, object]] = [
        {"user": "loader", "password": "p", "role": "LOADER", "warehouse": "LOADING"},
        {"user": "loader", "private_key": PEM, "private_key_passphrase": "secret"},
        {"user": "loader", "private_key_file": str(path), "private_key_passphrase": "secret"},
        {"authenticator": "programmatic_access_token", "token": "pat"},
        {"authenticator": "oauth", "token": "oauth-token"},
        {"workload_identity_provider": "OIDC", "token": OIDC},
    ]
    environments = [parse("dbt", {"warehouse": warehouse(logins, **way)}).environment for way in ways]
    subprocess.run(
        [sys.executable, "-c", _OPEN, str(ROOT / "dbt" / "profiles.yml")],
        input=json.dumps([dict(environment) for environment in environments]).encode(),
        env={**os.environ, "SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES": "127.0.0.1", "SNOWFLAKE_TOKEN": "of-the-parent"},
        check=True,
    )
    sent = [asked for asked in logins.asked if asked.path == "/session/v1/login-request"]
    names = ("ACCOUNT_NAME", "LOGIN_NAME", "AUTHENTICATOR", "PASSWORD", "PROVIDER", "TOKEN")
    told = [{name: asked.data[name] for name in names if asked.data.get(name)} for asked in sent]
    for by_key in told[1:3]:
        jwt.decode(by_key.pop("TOKEN"), KEY.public_key(), algorithms=["RS256"])
    who = {"ACCOUNT_NAME": "acme-eu"}
    assert told == [
        {**who, "LOGIN_NAME": "loader", "PASSWORD": "p"},
        {**who, "LOGIN_NAME": "loader", "AUTHENTICATOR": "SNOWFLAKE_JWT"},
        {**who, "LOGIN_NAME": "loader", "AUTHENTICATOR": "SNOWFLAKE_JWT"},
        {**who, "AUTHENTICATOR": "PROGRAMMATIC_ACCESS_TOKEN", "TOKEN": "pat"},
        {**who, "AUTHENTICATOR": "OAUTH", "TOKEN": "oauth-token"},
        {**who, "AUTHENTICATOR": "WORKLOAD_IDENTITY", "PROVIDER": "OIDC", "TOKEN": OIDC},
    ]
    first = dict(sent[0].parameters)
    del first["request_id"]
    assert first == {"databaseName": "RAW", "schemaName": "marts", "roleName": "LOADER", "warehouse": "LOADING"}
    assert {asked.data["SESSION_PARAMETERS"]["QUERY_TAG"] for asked in sent} == {"realtime-data-pipeline"}


@pytest.mark.parametrize("answer", [WELCOME, refusal(390100, CANARY)], ids=["signed in", "refused"])
def test_no_secret_stands_in_dbts_artifacts_logs_errors_or_command_line(
    tmp_path: Path, answer: dict[str, object]
) -> None:
    with Logins(answer) as logins:
        spec = warehouse(logins, user="loader", password=CANARY)
        transformer = build("dbt", {"warehouse": spec, "work": str(tmp_path / "work"), "timeout_s": 60})
        try:
            with pytest.raises(TransformFailed) as caught:
                transformer.build()
            command = Path(f"/proc/{transformer.pid}/cmdline").read_bytes()
            written = [path.read_bytes() for path in (tmp_path / "work").rglob("*") if path.is_file()]
        finally:
            transformer.close()
    assert logins.asked
    assert written
    assert CANARY.encode() not in b"".join([command, *written])
    assert CANARY not in str(caught.value)
