"""The options of a REST source, checked once and frozen.

How each stream is read is ``endpoints``'s; sending requests by them is ``client``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import cast
from urllib.parse import urlsplit

import attrs

from pipeline.domain.errors import ConfigError


class AuthKind(Enum):
    """How requests show who sends them."""

    NONE = "none"
    API_KEY = "api_key"
    BEARER = "bearer"
    BASIC = "basic"
    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a word, no password


#: What each kind of authentication needs.
_NEEDS: dict[AuthKind, tuple[str, ...]] = {
    AuthKind.NONE: (),
    AuthKind.API_KEY: ("api_key",),
    AuthKind.BEARER: ("token",),
    AuthKind.BASIC: ("username", "password"),
    AuthKind.CLIENT_CREDENTIALS: ("token_url", "client_id", "client_secret"),
    AuthKind.REFRESH_TOKEN: ("token_url", "refresh_token"),
}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@attrs.frozen
class AuthOptions:
    """Who we are. An ``api_key`` goes into the header ``header``, or the query parameter ``query``; the client of OAuth
    2.0 names itself by HTTP basic (``client_auth: basic``) or in the form (``body``). RFC 6749, RFC 6750.
    """

    kind: AuthKind = AuthKind.NONE
    api_key: str = attrs.field(default="", repr=False)
    header: str = "X-API-Key"
    query: str = ""
    token: str = attrs.field(default="", repr=False)
    username: str = attrs.field(default="", repr=False)
    password: str = attrs.field(default="", repr=False)
    token_url: str = ""
    client_id: str = attrs.field(default="", repr=False)
    client_secret: str = attrs.field(default="", repr=False)
    refresh_token: str = attrs.field(default="", repr=False)
    client_auth: str = "basic"
    scope: str = ""
    parameters: Mapping[str, str] = attrs.field(factory=dict, repr=False)


@attrs.frozen
class RestOptions:
    """How to reach an API, for all of its streams.

    ``url`` is what the paths of endpoints are appended to. ``headers`` and ``parameters`` go with every request and may
    hold secrets. Seconds: ``interval_s`` at least between two requests, ``backoff_s`` before the first retry (doubled
    each time), ``max_wait_s`` at most before any, ``timeout_s`` for connecting and between two pieces of an answer,
    ``response_timeout_s`` for a whole answer, ``poll_s`` between two looks. ``retries`` come after the first attempt.
    ``max_response_bytes`` bounds an answer after decompression. ``openapi`` is the path, URL or file of an OpenAPI
    document; empty: ``/openapi.json``, if there is one.
    """

    url: str
    auth: AuthOptions = attrs.field(factory=AuthOptions)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    parameters: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    paginate: Mapping[str, object] = attrs.field(factory=dict)
    error: str = ""
    openapi: str = ""
    ca_file: str = ""
    retries: int = 5
    interval_s: float = 0.0
    backoff_s: float = 0.5
    max_wait_s: float = 60.0
    timeout_s: float = 30.0
    response_timeout_s: float = 300.0
    poll_s: float = 60.0
    max_response_bytes: int = 64 * 1024 * 1024


def parse_options(name: str, options: Mapping[str, object]) -> RestOptions:
    """Check a source's options; raises ``ConfigError`` naming the key."""
    where = f"source {name}"
    given = dict(options)
    unknown = sorted(set(given) - {field.name for field in attrs.fields(RestOptions)})
    if unknown:
        raise ConfigError(f"unknown option {', '.join(unknown)}", where=where, hint="The README lists the options.")
    url = str(given.pop("url", ""))
    _check_url(url, where)
    auth = auth_options(mapping(given.pop("auth", {})), where)
    for key in ("headers", "parameters"):
        given[key] = texts(mapping(given.get(key, {})))
    checked = RestOptions(url=url.rstrip("/"), auth=auth, **given)  # type: ignore[arg-type]  # by the schema
    for key in ("retries", "interval_s", "backoff_s", "max_wait_s"):
        if getattr(checked, key) < 0:
            raise ConfigError(f"{key} is less than zero", where=where, hint=f"Set {key} to zero or more.")
    return checked


def auth_options(given: Mapping[str, object], where: str) -> AuthOptions:
    """Check how requests are authenticated; raises ``ConfigError`` naming the key."""
    known = {field.name for field in attrs.fields(AuthOptions)}
    unknown = sorted(set(given) - known)
    kind_word = str(given.get("kind", "none"))
    kinds = [kind.value for kind in AuthKind]
    if unknown or kind_word not in kinds:
        what = f"auth has the unknown key {', '.join(unknown)}" if unknown else f"auth.kind is {kind_word}"
        raise ConfigError(what, where=where, hint=f"Kinds are: {', '.join(kinds)}.")
    kind = AuthKind(kind_word)
    missing = [key for key in _NEEDS[kind] if not given.get(key)]
    if missing:
        raise ConfigError(
            f"auth.{missing[0]} is missing", where=where, hint=f"{kind.value} needs {', '.join(_NEEDS[kind])}."
        )
    plain = {key: str(value) for key, value in given.items() if key not in {"kind", "parameters"}}
    return AuthOptions(kind=kind, parameters=texts(mapping(given.get("parameters", {}))), **plain)


def mapping(value: object) -> Mapping[str, object]:
    """A section, empty where there is none."""
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def texts(values: Mapping[str, object]) -> dict[str, str]:
    """Parameters or headers as they are sent: ``true`` and ``false`` as JSON has them."""
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in values.items()}


def _check_url(url: str, where: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(
            "url is not the address of an API",
            where=where,
            hint="Write it as https://api.example.com/v1, without parameters.",
        )
    if parts.username or parts.password:
        raise ConfigError("url has a password in it", where=where, hint="Use auth with kind: basic instead.")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigError(
            "url is not encrypted: what it sends, secrets included, can be read on the way",
            where=where,
            hint="Use https. Plain http is for loopback only.",
        )
