"""Shows an API who asks: keys, passwords and tokens on every request, and OAuth 2.0 tokens that are renewed.

When a token has to be renewed is seen by ``client``; secrets are never part of any text.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from typing import assert_never

import attrs

from adapters.sources.rest.options import AuthKind, AuthOptions
from pipeline.domain.errors import SourceError

#: Posts a form to an address with headers, and gives the JSON object of the answer.
Post = Callable[[str, Mapping[str, str], Mapping[str, str]], Mapping[str, object]]

#: A token is renewed so many seconds before it expires.
_EARLY_S = 30.0


@attrs.frozen
class Signature:
    """What goes with a request."""

    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    parameters: Mapping[str, str] = attrs.field(factory=dict, repr=False)


class Signer:
    """Signs requests by ``options``; ``post`` reaches the token endpoint of OAuth 2.0."""

    def __init__(self, options: AuthOptions, post: Post) -> None:
        self._options = options
        self._post = post
        self._token = ""
        self._renew_at = 0.0
        self._refresh_token = options.refresh_token

    @property
    def can_renew(self) -> bool:
        """Whether a token that the API refuses can be replaced."""
        return self._options.kind in {AuthKind.CLIENT_CREDENTIALS, AuthKind.REFRESH_TOKEN}

    def signature(self) -> Signature:
        """What the next request has to carry; fetches a token first where there is none that holds."""
        options = self._options
        match options.kind:
            case AuthKind.NONE:
                return Signature()
            case AuthKind.API_KEY:
                if options.query:
                    return Signature(parameters={options.query: options.api_key})
                return Signature({options.header: options.api_key})
            case AuthKind.BEARER:
                return Signature({"Authorization": f"Bearer {options.token}"})
            case AuthKind.BASIC:
                return Signature({"Authorization": _basic(options.username, options.password)})
            case AuthKind.CLIENT_CREDENTIALS | AuthKind.REFRESH_TOKEN:
                if not self._token or time.monotonic() >= self._renew_at:
                    self._fetch()
                return Signature({"Authorization": f"Bearer {self._token}"})
            case _:
                assert_never(options.kind)

    def forget_token(self) -> None:
        """The API no longer takes the token: the next signature fetches another."""
        self._token = ""

    def _fetch(self) -> None:
        options = self._options
        form = {"grant_type": options.kind.value, **options.parameters}
        if options.scope:
            form["scope"] = options.scope
        if options.kind is AuthKind.REFRESH_TOKEN:
            form["refresh_token"] = self._refresh_token
        headers = {}
        if options.client_id and options.client_auth == "basic":
            headers["Authorization"] = _basic(options.client_id, options.client_secret)
        elif options.client_id:
            form["client_id"] = options.client_id
            if options.client_secret:
                form["client_secret"] = options.client_secret
        answer = self._post(options.token_url, form, headers)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise SourceError("the token endpoint answered without an access_token", hint="Check auth.token_url.")
        self._token = token
        lifetime = answer.get("expires_in")
        seconds = float(lifetime) if isinstance(lifetime, int | float | str) and _is_number(lifetime) else None
        # A token that hardly lives is used for half of its life.
        self._renew_at = (
            float("inf") if seconds is None else time.monotonic() + max(seconds - _EARLY_S, seconds / 2, 0.0)
        )
        rotated = answer.get("refresh_token")
        if isinstance(rotated, str) and rotated:
            self._refresh_token = rotated


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def _is_number(value: int | float | str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
