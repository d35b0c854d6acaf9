"""Sends requests to an API and brings back JSON, or an error that says what a person can do.

Patience is here: time-outs, retries, rate limits, tokens that expire. What pages follow each other is ``paging``'s.
No text has a URL's query, a body or a header in it (P10): requests are named by their endpoint and page.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs
import httpx

from adapters.sources.rest.answers import Answer, Refused, Unfinished, answer_of
from adapters.sources.rest.auth import Signer
from adapters.sources.rest.documents import parsed
from adapters.sources.rest.hosts import checked_next
from adapters.sources.rest.options import RestOptions
from pipeline.domain.errors import ConfigError, PipelineError, SourceError, SourceRejected, SourceUnreachable

_MAX_REDIRECTS = 5
_MOVED = {301, 302, 303, 307, 308}
_UNAUTHORIZED = 401

_Got = TypeVar("_Got")

# They log whole URLs and headers, secrets included.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@attrs.frozen
class Request:
    """What to ask for: an address, parameters that are added to it, and headers beside the source's own.

    ``label`` names it in messages: the endpoint and the page, without values; ``where`` is the stream. ``is_exact``
    keeps the digits of fractions as they were written, see ``documents``.
    """

    url: str
    label: str
    where: str
    is_exact: bool = True
    parameters: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)


class Client:
    """One API. Connects on first use; may be closed twice. Closing ends a wait, and with it the request that waits."""

    def __init__(self, name: str, options: RestOptions) -> None:
        self._where = f"source {name}"
        self._options = options
        self._closed = threading.Event()
        self._signer = Signer(options.auth, self._post)
        self._connection: httpx.Client | None = None
        self._next_at = 0.0

    def get(self, request: Request) -> Answer:
        """The JSON that the API answers, or an answer without one where it was not modified.

        Raises ``SourceUnreachable`` once all attempts failed, ``SourceRejected`` for what nobody but a person can
        mend, and ``SourceError`` for an answer that is none.
        """

        def attempt() -> Answer:
            answer = self._signed(request)
            if answer.is_unchanged:
                return answer
            document = parsed(answer.body, is_exact=request.is_exact)
            return attrs.evolve(answer, document=document, body=b"", byte_count=len(answer.body))

        return self._patiently(attempt, request.label, request.where)

    def close(self) -> None:
        """Close the connections."""
        self._closed.set()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _patiently(self, attempt: Callable[[], _Got], label: str, where: str) -> _Got:
        """Try until it works, or cannot work, or was tried often enough."""
        for number in range(self._options.retries + 1):
            try:
                return attempt()
            except Unfinished as error:
                delay_s = error.wait_s if error.wait_s is not None else self._options.backoff_s * 2.0**number
                given_up = _given_up(error, f"{label} {error.what}, {number + 1} times", where)
                if number == self._options.retries:
                    raise given_up from None
                if error.wait_s is not None and delay_s > self._options.max_wait_s:
                    raise SourceUnreachable(
                        f"{label} {error.what} and asks to wait {delay_s:,.0f} s",
                        where=where,
                        hint="Try again later, raise max_wait, or ask less often by interval and poll.",
                        **error.facts,
                    ) from None
                if self._closed.wait(min(delay_s, self._options.max_wait_s)):
                    raise given_up from None
            except Refused as error:
                raise SourceRejected(f"{label} {error.what}", where=where, hint=error.hint, **error.facts) from None
            except PipelineError as error:
                if not error.where:
                    error.where, error.what = where, f"{label} {error.what}"
                raise
        raise AssertionError("the last attempt raises")

    def _signed(self, request: Request) -> Answer:
        """One attempt; a token that is refused is renewed once."""
        try:
            return self._follow(request)
        except Refused as error:
            if error.facts.get("status") != _UNAUTHORIZED or not self._signer.can_renew:
                raise
            self._signer.forget_token()
            return self._follow(request)

    def _follow(self, request: Request) -> Answer:
        signature = self._signer.signature()
        headers = {**self._options.headers, "Accept": "application/json", **request.headers, **signature.headers}
        url = _with(httpx.URL(request.url), {**request.parameters, **signature.parameters})
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._send("GET", url, headers)
            if answer.status not in _MOVED:
                return answer
            target = answer.headers.get("location", "")
            url = httpx.URL(checked_next(str(url), target, base=self._options.url, what="redirects"))
            url = _with(url, signature.parameters)
        raise SourceRejected(f"redirects more than {_MAX_REDIRECTS} times", hint="Check the address of the endpoint.")

    def _post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Mapping[str, object]:
        address = url if "://" in url else f"{self._options.url}/{url.lstrip('/')}"

        def attempt() -> Answer:
            return self._send("POST", httpx.URL(address), {"Accept": "application/json", **headers}, form=form)

        try:
            answer = self._patiently(attempt, "the token endpoint", self._where)
        except SourceRejected as error:
            error.hint = "Check auth: the client or its refresh token is not, or no longer, taken."
            raise
        document = parsed(answer.body, is_exact=False) if answer.status not in _MOVED else None
        if not isinstance(document, dict):
            raise SourceError("the token endpoint did not answer with a token", hint="Check auth.token_url.")
        return document

    def _send(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], *, form: Mapping[str, str] | None = None
    ) -> Answer:
        """One request; raises ``Unfinished`` where another attempt may help."""
        self._wait_for_turn()
        try:
            with self._connected().stream(method, url, headers=dict(headers), data=form) as response:
                return answer_of(
                    response, max_bytes=self._options.max_response_bytes, until=self._deadline(), url=str(url)
                )
        except httpx.TimeoutException as error:
            raise Unfinished("did not answer in time", error_class=type(error).__name__) from None
        except httpx.TransportError as error:
            if _is_untrusted(error):
                raise Refused(
                    "showed a certificate that is not trusted",
                    "Set ca_file to the authority that signed it; if nobody should have, somebody listens in.",
                ) from None
            raise Unfinished("could not be reached, or cut the connection", error_class=type(error).__name__) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise Unfinished("did not speak HTTP", is_answer=True, error_class=type(error).__name__) from None

    def _deadline(self) -> float:
        return time.monotonic() + self._options.response_timeout_s

    def _wait_for_turn(self) -> None:
        if self._options.interval_s:
            left_s = self._next_at - time.monotonic()
            if left_s > 0:
                self._closed.wait(left_s)
            self._next_at = time.monotonic() + self._options.interval_s

    def _connected(self) -> httpx.Client:
        if self._connection is None:
            try:
                trusted = ssl.create_default_context(cafile=self._options.ca_file or None)
            except OSError:  # ssl.SSLError is one
                raise ConfigError(
                    "ca_file cannot be read as certificates", where=self._where, hint="Give a PEM file."
                ) from None
            self._connection = httpx.Client(verify=trusted, timeout=self._options.timeout_s, follow_redirects=False)
        return self._connection


def _with(url: httpx.URL, parameters: Mapping[str, str]) -> httpx.URL:
    return url.copy_merge_params(parameters) if parameters else url


def _given_up(error: Unfinished, what: str, where: str) -> PipelineError:
    kind = SourceError if error.is_answer else SourceUnreachable
    hint = "The API may be down, or its answers broken: try again later, and see its status page."
    return kind(what, where=where, hint=hint, **error.facts)


def _is_untrusted(error: BaseException) -> bool:
    """Whether a certificate was refused somewhere below ``error``."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
