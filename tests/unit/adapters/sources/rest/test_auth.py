"""What goes with a request to show who asks, and when a token is fetched anew."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import attrs
import pytest

from adapters.sources.rest.auth import Signature, Signer
from adapters.sources.rest.options import AuthKind, AuthOptions
from pipeline.domain.errors import SourceError


@attrs.define
class TokenEndpoint:
    """Answers in turn, and keeps what it was sent."""

    answers: list[Mapping[str, object]]
    posted: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = attrs.field(factory=list)

    def __call__(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Mapping[str, object]:
        self.posted.append((url, dict(form), dict(headers)))
        return self.answers[len(self.posted) - 1]


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("options", "signature"),
    [
        (AuthOptions(), Signature()),
        (AuthOptions(AuthKind.API_KEY, api_key="k"), Signature({"X-API-Key": "k"})),
        (AuthOptions(AuthKind.API_KEY, api_key="k", query="key"), Signature(parameters={"key": "k"})),
        (AuthOptions(AuthKind.BEARER, token="t"), Signature({"Authorization": "Bearer t"})),
        (AuthOptions(AuthKind.BASIC, username="ü", password="p:x"), Signature({"Authorization": basic("ü:p:x")})),
    ],
)
def test_keys_and_passwords_go_with_every_request(options: AuthOptions, signature: Signature) -> None:
    assert Signer(options, TokenEndpoint([])).signature() == signature


def test_a_client_fetches_a_token_once_and_again_when_it_was_refused() -> None:
    endpoint = TokenEndpoint([{"access_token": "one", "expires_in": 3600}, {"access_token": "two"}])
    options = AuthOptions(
        AuthKind.CLIENT_CREDENTIALS, token_url="/token", client_id="me", client_secret="s", scope="read"
    )
    signer = Signer(options, endpoint)
    signatures = [signer.signature(), signer.signature()]
    signer.forget_token()
    signatures.append(signer.signature())
    assert [each.headers["Authorization"] for each in signatures] == ["Bearer one", "Bearer one", "Bearer two"]
    assert endpoint.posted[0] == (
        "/token",
        {"grant_type": "client_credentials", "scope": "read"},
        {"Authorization": basic("me:s")},
    )


def test_a_refresh_token_that_is_replaced_is_the_one_sent_next() -> None:
    endpoint = TokenEndpoint([{"access_token": "a", "refresh_token": "r2"}, {"access_token": "b"}])
    options = AuthOptions(
        AuthKind.REFRESH_TOKEN,
        token_url="/token",
        refresh_token="r1",
        client_id="me",
        client_auth="body",
        parameters={"audience": "api"},
    )
    signer = Signer(options, endpoint)
    signer.signature()
    signer.forget_token()
    signer.signature()
    shared = {"grant_type": "refresh_token", "audience": "api", "client_id": "me"}
    assert endpoint.posted == [
        ("/token", {**shared, "refresh_token": "r1"}, {}),
        ("/token", {**shared, "refresh_token": "r2"}, {}),
    ]


def test_a_token_that_has_expired_is_not_used() -> None:
    endpoint = TokenEndpoint([{"access_token": "one", "expires_in": "0"}, {"access_token": "two"}])
    signer = Signer(AuthOptions(AuthKind.REFRESH_TOKEN, token_url="/t", refresh_token="r"), endpoint)
    assert [signer.signature().headers["Authorization"] for _ in range(3)] == ["Bearer one", "Bearer two", "Bearer two"]


def test_an_answer_without_a_token_is_an_error() -> None:
    signer = Signer(
        AuthOptions(AuthKind.REFRESH_TOKEN, token_url="/t", refresh_token="r"), TokenEndpoint([{"error": "x"}])
    )
    with pytest.raises(SourceError):
        signer.signature()


def test_no_secret_is_shown() -> None:
    options = AuthOptions(AuthKind.BASIC, username="canary", password="canary", api_key="canary", token="canary")
    assert "canary" not in repr(options) + repr(Signature({"a": "canary"}, {"b": "canary"}))
