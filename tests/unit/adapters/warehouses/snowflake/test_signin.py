"""Each way to sign in as the connector's keyword arguments, and everything that is refused before it is tried."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from adapters.warehouses.snowflake.options import parse
from pipeline.domain.errors import ConfigError, Missing
from tests.support.keys import KEY, pem

PLACE: dict[str, object] = {"account": "acme-eu", "database": "RAW"}
DER = KEY.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def sign_in(given: dict[str, object]) -> dict[str, object]:
    """What of the connector's arguments has to do with signing in."""
    connect = dict(parse("warehouse", {**PLACE, **given}).connect)
    for key in ("account", "database", "application", "login_timeout", "backoff_policy"):
        del connect[key]
    del connect["platform_detection_timeout_seconds"]
    return connect


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"user": "u", "password": "p"},
            {"user": "u", "password": "p", "authenticator": "snowflake"},
            id="password",
        ),
        pytest.param(
            {"user": "u", "private_key": pem()},
            {"user": "u", "authenticator": "snowflake_jwt", "private_key": DER},
            id="key as text",
        ),
        pytest.param(
            {"user": "u", "private_key": pem("secret"), "private_key_passphrase": "secret"},
            {"user": "u", "authenticator": "snowflake_jwt", "private_key": DER},
            id="key as text with passphrase",
        ),
        pytest.param(
            {"authenticator": "programmatic_access_token", "token": "t"},
            {"authenticator": "programmatic_access_token", "token": "t"},
            id="programmatic access token",
        ),
        pytest.param(
            {"authenticator": "OAuth", "user": "u", "token": "t"},
            {"authenticator": "oauth", "user": "u", "token": "t"},
            id="OAuth token",
        ),
        pytest.param(
            {
                "oauth_client_id": "c",
                "oauth_client_secret": "s",
                "oauth_token_request_url": "https://idp.example.com/token",
                "oauth_scope": "session:role:LOADER",
            },
            {
                "authenticator": "oauth_client_credentials",
                "oauth_client_id": "c",
                "oauth_client_secret": "s",
                "oauth_token_request_url": "https://idp.example.com/token",
                "oauth_scope": "session:role:LOADER",
            },
            id="OAuth client",
        ),
        pytest.param(
            {"authenticator": "externalbrowser", "user": "u"},
            {"authenticator": "externalbrowser", "user": "u", "client_store_temporary_credential": True},
            id="browser",
        ),
        pytest.param(
            {"workload_identity_provider": "aws"},
            {"authenticator": "workload_identity", "workload_identity_provider": "AWS"},
            id="workload identity of AWS",
        ),
        pytest.param(
            {"workload_identity_provider": "Azure", "workload_identity_entra_resource": "api://x"},
            {
                "authenticator": "workload_identity",
                "workload_identity_provider": "AZURE",
                "workload_identity_entra_resource": "api://x",
            },
            id="workload identity of Azure",
        ),
        pytest.param(
            {"workload_identity_provider": "OIDC", "token_file": "/var/run/token"},
            {
                "authenticator": "workload_identity",
                "workload_identity_provider": "OIDC",
                "token_file_path": "/var/run/token",
            },
            id="workload identity by OIDC, a token that is renewed in a file",
        ),
        pytest.param({"connection": "prod"}, {"connection_name": "prod"}, id="connection"),
    ],
)
def test_each_way_to_sign_in_becomes_what_the_connector_needs(
    given: dict[str, object], expected: dict[str, object]
) -> None:
    assert sign_in(given) == expected


@pytest.mark.parametrize("passphrase", [None, "secret"])
def test_a_key_file_is_named_to_the_connector_which_reads_it_at_each_sign_in(
    tmp_path: Path, passphrase: str | None
) -> None:
    path = tmp_path / "key.p8"
    path.write_text(pem(passphrase))
    given = {"user": "u", "private_key_file": str(path), "private_key_passphrase": passphrase}
    assert sign_in(given) == {
        "user": "u",
        "authenticator": "snowflake_jwt",
        "private_key_file": str(path),
        **({"private_key_file_pwd": passphrase} if passphrase else {}),
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"user": "u"},
            [
                "authenticator is missing: nothing says how to sign in. Give one of password, private_key, "
                "private_key_file, oauth_client_id, workload_identity_provider or connection, or an authenticator "
                "(programmatic_access_token, oauth, externalbrowser) with what it needs."
            ],
            id="none",
        ),
        pytest.param(
            {"user": "u", "password": "p", "private_key": "k"},
            ["private_key is one way to sign in beside password. Keep one of them, or write the authenticator."],
            id="two",
        ),
        pytest.param(
            {"user": "u", "token": "t"},
            ["token needs an authenticator. Write authenticator: programmatic_access_token, or oauth."],
            id="a token of which kind?",
        ),
        pytest.param(
            {"user": "u", "authenticator": "kerberos"},
            [
                "authenticator is not known; allowed: snowflake, snowflake_jwt, programmatic_access_token, oauth, "
                "oauth_client_credentials, externalbrowser, workload_identity."
            ],
            id="an unknown one",
        ),
        pytest.param({"password": "p"}, ["user is missing; snowflake needs user."], id="a password without a user"),
        pytest.param(
            {"authenticator": "snowflake_jwt"},
            [
                "user is missing; snowflake_jwt needs user.",
                "private_key is missing; snowflake_jwt needs private_key or private_key_file.",
            ],
            id="a key pair without anything",
        ),
        pytest.param(
            {"user": "u", "private_key": "k", "private_key_file": "f"},
            ["private_key_file is given beside private_key. Keep one of them."],
            id="a key twice",
        ),
        pytest.param(
            {"authenticator": "oauth", "token": "t", "password": "p"},
            ["password has no use with oauth. Take it out; oauth takes token, user."],
            id="a password beside a token",
        ),
        pytest.param(
            {"connection": "prod", "private_key_passphrase": "x"},
            ["private_key_passphrase has no use with connection. Take it out; connection takes connection."],
            id="a passphrase beside a connection",
        ),
        pytest.param(
            {"oauth_client_id": "c"},
            [
                "oauth_client_secret is missing; oauth_client_credentials needs oauth_client_secret.",
                "oauth_token_request_url is missing; oauth_client_credentials needs oauth_token_request_url.",
            ],
            id="half an OAuth client",
        ),
        pytest.param(
            {"workload_identity_provider": "IBM"},
            ["workload_identity_provider is not known; allowed: AWS, AZURE, GCP, OIDC."],
            id="an unknown provider",
        ),
        pytest.param(
            {"workload_identity_provider": "OIDC"},
            ["token_file is missing; the provider OIDC needs token or token_file."],
            id="OIDC without a token",
        ),
        pytest.param(
            {"workload_identity_provider": "GCP", "token": "t", "workload_identity_entra_resource": "r"},
            [
                "token has no use with the provider GCP. Take it out; the platform gives the token.",
                "workload_identity_entra_resource has a use with the provider AZURE only. Take it out.",
            ],
            id="too much for GCP",
        ),
        pytest.param(
            {"user": "u", "private_key_file": "/no/such.p8"},
            ["private_key_file cannot be read: No such file or directory. Name a PEM file that this user may read."],
            id="a key file that is not there",
        ),
        pytest.param(
            {"user": "u", "private_key": pem("secret")},
            ["private_key is encrypted. Give its private_key_passphrase."],
            id="a key without its passphrase",
        ),
        pytest.param(
            {"user": "u", "private_key": pem(), "private_key_passphrase": "x"},
            ["private_key is not encrypted. Take private_key_passphrase out."],
            id="a passphrase for nothing",
        ),
        pytest.param(
            {"user": "u", "private_key": pem("secret"), "private_key_passphrase": "wrong"},
            [
                "private_key cannot be decrypted with its passphrase, or is no PEM key. Make one with: openssl genrsa "
                "2048 | openssl pkcs8 -topk8 -inform PEM -out rsa_key.p8"
            ],
            id="a wrong passphrase",
        ),
        pytest.param(
            {"user": "u", "private_key": "-----BEGIN"},
            [
                "private_key is no private key in PEM. Make one with: openssl genrsa 2048 | openssl pkcs8 -topk8 "
                "-inform PEM -out rsa_key.p8"
            ],
            id="no key",
        ),
    ],
)
def test_ways_that_are_none_or_several_or_not_complete_are_refused_with_what_to_do(
    given: dict[str, object], expected: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("warehouse", {**PLACE, **given})
    assert caught.value.what.splitlines()[1:] == [f"  {line}" for line in expected]


def test_no_secret_is_shown_by_options_or_refusals() -> None:
    canary = "canary-7d3f"
    options = parse("warehouse", {**PLACE, "user": "u", "password": canary})
    assert canary not in repr(options)
    for given in ({"password": canary}, {"user": "u", "private_key": canary}, {"token": canary, "password": canary}):
        with pytest.raises(ConfigError) as caught:
            parse("warehouse", {**PLACE, **given})
        assert canary not in str(caught.value)
        assert canary not in str(caught.value.facts)


def test_a_key_without_the_extra_installed_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cryptography.exceptions", "cryptography.hazmat.primitives"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Missing) as caught:
        parse("warehouse", {**PLACE, "user": "u", "private_key": pem()})
    assert "realtime-data-pipeline[snowflake]" in caught.value.hint
