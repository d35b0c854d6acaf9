"""What the real connector sends for each way to sign in, and what becomes of the answers that refuse it."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from adapters.warehouses.snowflake.options import parse
from adapters.warehouses.snowflake.session import open_session
from adapters.warehouses.snowflake.statement import Statement
from pipeline.domain.errors import ErrorKind, PipelineError, WarehouseRejected, WarehouseUnreachable
from tests.support.child import environment
from tests.support.keys import KEY, pem
from tests.support.snowflake_logins import Logins, refusal

CANARY = "canary-7d3f"


@pytest.fixture
def logins() -> Iterator[Logins]:
    with Logins() as listening:
        yield listening


def at(logins: Logins, **given: object) -> dict[str, object]:
    """Options that lead to the listener."""
    place = {"account": "acme-eu", "database": "RAW", "host": "127.0.0.1", "port": logins.port, "protocol": "http"}
    return {**place, **given}


def sign_in(options: dict[str, object]) -> None:
    open_session(parse("warehouse", options)).close()


def credentials(logins: Logins) -> dict[str, object]:
    """Of the sign-in that came: all that has to do with who it is."""
    data = logins.login.data
    names = ("ACCOUNT_NAME", "LOGIN_NAME", "AUTHENTICATOR", "PASSWORD", "TOKEN", "PROVIDER")
    return {name: data[name] for name in names if data.get(name) is not None}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"user": "loader", "password": "p"},
            {"LOGIN_NAME": "loader", "PASSWORD": "p"},
            id="password",
        ),
        pytest.param(
            {"authenticator": "programmatic_access_token", "token": "t"},
            {"LOGIN_NAME": "", "AUTHENTICATOR": "PROGRAMMATIC_ACCESS_TOKEN", "TOKEN": "t"},
            id="programmatic access token",
        ),
        pytest.param(
            {"authenticator": "oauth", "user": "loader", "token": "t"},
            {"LOGIN_NAME": "loader", "AUTHENTICATOR": "OAUTH", "TOKEN": "t"},
            id="OAuth token",
        ),
    ],
)
def test_passwords_and_tokens_are_sent_as_what_they_are(
    logins: Logins, given: dict[str, object], expected: dict[str, object]
) -> None:
    sign_in(at(logins, **given))
    assert credentials(logins) == {"ACCOUNT_NAME": "acme-eu", **expected}


def test_role_warehouse_and_database_are_asked_for_while_signing_in(logins: Logins) -> None:
    sign_in(at(logins, user="loader", password="p", role="LOADER", warehouse="LOADING"))
    asked = dict(logins.login.parameters)
    del asked["request_id"]
    assert asked == {"databaseName": "RAW", "warehouse": "LOADING", "roleName": "LOADER"}


@pytest.mark.parametrize("passphrase", [None, "secret"])
@pytest.mark.parametrize("is_file", [False, True])
def test_a_key_pair_signs_a_token_with_the_right_claims(
    logins: Logins, tmp_path: Path, passphrase: str | None, is_file: bool
) -> None:
    path = tmp_path / "key.p8"
    path.write_text(pem(passphrase))
    key = {"private_key_file": str(path)} if is_file else {"private_key": pem(passphrase)}
    sign_in(at(logins, user="loader", private_key_passphrase=passphrase, **key))
    sent = credentials(logins)
    claims = jwt.decode(str(sent.pop("TOKEN")), KEY.public_key(), algorithms=["RS256"])
    public = KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    fingerprint = "SHA256:" + base64.b64encode(hashlib.sha256(public).digest()).decode()
    assert sent == {"ACCOUNT_NAME": "acme-eu", "LOGIN_NAME": "loader", "AUTHENTICATOR": "SNOWFLAKE_JWT"}
    assert (claims["iss"], claims["sub"]) == (f"ACME-EU.LOADER.{fingerprint}", "ACME-EU.LOADER")
    assert claims["iat"] <= time.time() < claims["exp"]


def test_a_workload_identity_token_is_read_from_its_file_at_each_sign_in(
    logins: Logins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES", "127.0.0.1")  # else it is sent to Snowflake's hosts only
    path = tmp_path / "token"
    options = parse("warehouse", at(logins, workload_identity_provider="oidc", token_file=str(path)))
    issued = [jwt.encode({"iss": "https://k8s.example.com", "sub": name}, "s" * 32) for name in ("first", "second")]
    for token in issued:
        path.write_text(token)
        open_session(options).close()
    sent = [asked.data for asked in logins.asked if asked.path == "/session/v1/login-request"]
    assert [(data["AUTHENTICATOR"], data["PROVIDER"], data["TOKEN"]) for data in sent] == [
        ("WORKLOAD_IDENTITY", "OIDC", token) for token in issued
    ]


def test_an_oauth_client_fetches_its_token_by_itself(logins: Logins) -> None:
    sign_in(
        at(
            logins,
            oauth_client_id="client",
            oauth_client_secret="secret",
            oauth_token_request_url=f"http://127.0.0.1:{logins.port}/token",
            oauth_scope="session:role:LOADER",
        )
    )
    (fetched,) = [asked for asked in logins.asked if asked.path == "/token"]
    assert fetched.data == {"grant_type": "client_credentials", "scope": "session:role:LOADER"}
    sent = credentials(logins)
    assert (sent["AUTHENTICATOR"], sent["TOKEN"]) == ("OAUTH", "from-client")


def test_a_browser_is_asked_for_by_its_own_request() -> None:
    with Logins(refusal(390190)) as logins, pytest.raises(WarehouseRejected):
        sign_in(at(logins, authenticator="externalbrowser", user="loader"))
    (asked,) = logins.asked
    assert asked.path == "/session/authenticator-request"
    assert (asked.data["AUTHENTICATOR"], asked.data["LOGIN_NAME"]) == ("EXTERNALBROWSER", "loader")


def test_a_named_connection_is_read_from_the_connectors_own_file(logins: Logins, tmp_path: Path) -> None:
    file = tmp_path / "connections.toml"
    file.write_text(
        f'[prod]\naccount = "acme-eu"\nuser = "loader"\npassword = "p"\nhost = "127.0.0.1"\nport = {logins.port}\n'
        'protocol = "http"\nrole = "FROM_FILE"\ndatabase = "FROM_FILE"\n'
    )
    file.chmod(0o600)
    code = (
        "import json, sys\n"
        "from adapters.warehouses.snowflake.options import parse\n"
        "from adapters.warehouses.snowflake.session import open_session\n"
        "open_session(parse('warehouse', json.loads(sys.argv[1]))).close()\n"
    )
    # The connector looks where its file is while it is imported.
    subprocess.run(
        [sys.executable, "-c", code, json.dumps({"connection": "prod", "database": "RAW"})],
        env=environment({"SNOWFLAKE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}),
        check=True,
    )
    assert credentials(logins) == {"ACCOUNT_NAME": "acme-eu", "LOGIN_NAME": "loader", "PASSWORD": "p"}
    assert logins.login.parameters["databaseName"] == "RAW"
    assert logins.login.parameters["roleName"] == "FROM_FILE"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (390100, "user or password is wrong (DatabaseError 390100 28000)"),
        (390102, "the user is locked after too many failed tries (DatabaseError 390102 08001)"),
        (390101, "the user is disabled (DatabaseError 390101 08001)"),
        (394508, "a password alone does not sign this user in (DatabaseError 394508 08001)"),
        (390202, "the authentication policy does not allow this way to sign in (DatabaseError 390202 08001)"),
        (390422, "the network policy does not let this address in (DatabaseError 390422 08001)"),
        (390189, "the role does not exist or is not the user's (DatabaseError 390189 08001)"),
        (390144, "the key pair was not accepted (DatabaseError 390144 28000)"),
        (394400, "the programmatic access token was not accepted (DatabaseError 394400 08001)"),
        (390318, "the OAuth token has expired or is not valid (DatabaseError 390318 08001)"),
        (390999, "signing in was refused (DatabaseError 390999 08001)"),
        (250001, "signing in was refused (DatabaseError 250001 08001)"),
    ],
)
def test_a_refused_sign_in_says_why_by_its_number_and_never_by_the_services_text(code: int, what: str) -> None:
    with Logins(refusal(code, CANARY)) as logins, pytest.raises(WarehouseRejected) as caught:
        sign_in(at(logins, user="loader", password="p"))
    assert (caught.value.what, caught.value.where, caught.value.exit_code) == (what, "snowflake acme-eu/RAW", 2)
    assert caught.value.hint
    assert CANARY not in str(caught.value)
    assert CANARY not in str(caught.value.facts)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert len(logins.asked) == 1  # tried once: more tries would lock the user


def test_a_service_that_is_busy_is_asked_again_for_as_long_as_retry_says() -> None:
    started = time.monotonic()
    with Logins(status=503) as logins, pytest.raises(WarehouseUnreachable):
        sign_in(at(logins, user="loader", password="p", retry_s=2.5))
    assert time.monotonic() - started >= 2.5
    assert len(logins.asked) >= 3


def test_a_service_that_comes_back_meanwhile_is_signed_in_to() -> None:
    with Logins(status=503) as busy:
        options = parse("warehouse", at(busy, user="loader", password="p", retry_s=20))
        threading.Timer(1.5, busy.recover).start()
        open_session(options).close()
    assert "/session" in {asked.path for asked in busy.asked}  # signed out of what it signed in to


def test_a_statement_may_take_longer_than_requests_are_sent_again() -> None:
    with Logins(slow_s=3) as logins:
        session = open_session(parse("warehouse", at(logins, user="loader", password="p", retry_s=1)))
        assert session.rows(Statement("SELECT 1")) == []
        session.close()
    assert [asked.path for asked in logins.asked if "abort" in asked.path] == []


def test_a_session_whose_service_is_gone_gives_up_after_retry() -> None:
    with Logins() as logins:
        session = open_session(parse("warehouse", at(logins, user="loader", password="p", retry_s=3)))
    started = time.monotonic()
    with pytest.raises(WarehouseUnreachable):
        session.execute(Statement("SELECT 1"))
    assert 2.5 <= time.monotonic() - started < 10
    session.close()


def test_the_connectors_own_log_stays_out_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    with Logins() as logins:
        session = open_session(parse("warehouse", at(logins, user="loader", password="p", retry_s=1)))
    with pytest.raises(WarehouseUnreachable) as caught:
        session.execute(Statement("SELECT ?", [CANARY]))
    session.close()
    assert CANARY not in str(caught.value)
    assert [record for record in caplog.records if record.name.startswith("snowflake")] == []


def _nobody_listens(options: dict[str, object]) -> dict[str, object]:
    with Logins() as logins:
        return {**options, "port": logins.port}  # free again once it is closed


def _no_such_host(options: dict[str, object]) -> dict[str, object]:
    return {**options, "host": "acme-eu.invalid"}


@pytest.mark.parametrize(
    ("lead", "what"),
    [
        pytest.param(_nobody_listens, "the account gave no answer (OperationalError 250001)", id="nobody listens"),
        pytest.param(_no_such_host, "the account gave no answer (OperationalError 250001)", id="no such host"),
    ],
)
def test_an_address_where_nobody_answers_is_unreachable(
    lead: Callable[[dict[str, object]], dict[str, object]], what: str
) -> None:
    place = {"account": "acme-eu", "database": "RAW", "host": "127.0.0.1", "protocol": "http", "retry_s": 1}
    with pytest.raises(WarehouseUnreachable) as caught:
        sign_in(lead({**place, "user": "loader", "password": "p"}))
    assert (caught.value.what, caught.value.exit_code) == (what, 3)


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (403, "no account answers at this address (ForbiddenError 540001 08001)"),
        (404, "no account answers at this address (HttpError 290404 08001)"),
        (503, "the account gave no answer (OperationalError 250001)"),
    ],
)
def test_an_address_that_is_no_account_is_unreachable(status: int, what: str) -> None:
    with Logins(status=status) as logins, pytest.raises(PipelineError) as caught:
        sign_in(at(logins, user="loader", password="p", retry_s=1))
    assert (caught.value.what, caught.value.kind) == (what, ErrorKind.UNREACHABLE)
