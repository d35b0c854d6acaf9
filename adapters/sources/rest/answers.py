"""An answer of an API, read whole and checked: its status, its size, whether it is JSON.

Whether to ask again is ``client``'s to decide; what is in the document is ``documents``'s.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import attrs
import httpx

from pipeline.domain.errors import SourceError

_MOVED = {301, 302, 303, 307, 308}
_NOT_MODIFIED = 304
_TOO_MANY = 429
#: Answers that may be another one soon.
_PASSING = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524}

_HINTS = {
    401: "Check auth: the key or token is wrong, or expired.",
    403: "Check that the key or token may read this endpoint.",
    404: "Check url and the relation of the stream: there is no such endpoint.",
    410: "The endpoint is gone: see what the API offers instead.",
}


class Unfinished(Exception):
    """An attempt that failed in a way that may pass. ``wait_s`` is how long the API asked to wait; ``is_answer`` says
    that it did answer, but with something broken.
    """

    def __init__(
        self,
        what: str,
        *,
        wait_s: float | None = None,
        is_answer: bool = False,
        status: int | None = None,
        **facts: object,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.wait_s = wait_s
        self.is_answer = is_answer
        self.facts = facts if status is None else {"status": status, **facts}


class Refused(Exception):
    """An answer that will be the same next time."""

    def __init__(self, what: str, hint: str, **facts: object) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.facts = facts


@attrs.frozen(eq=False)
class Answer:
    """A whole answer. ``body`` is JSON, as far as its content type says; ``document`` is what it says, once parsed.

    ``url`` is the address that it came from, which next addresses are relative to.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    url: str = attrs.field(repr=False)
    document: object = attrs.field(default=None, repr=False)
    byte_count: int = 0

    @property
    def is_unchanged(self) -> bool:
        """Whether it says that nothing changed since the last one."""
        return self.status == _NOT_MODIFIED


def answer_of(response: httpx.Response, *, max_bytes: int, until: float, url: str) -> Answer:
    """Read an answer to its end. Raises ``Unfinished``, ``Refused``, or ``SourceError`` for one that is too large or
    no JSON; ``until`` is the monotonic time at which it has to be there.
    """
    status = response.status_code
    if status in _MOVED or status == _NOT_MODIFIED:
        return Answer(status, response.headers, b"", url)
    if status in _PASSING:
        raise Unfinished(f"answered {status}", wait_s=_retry_after(response), status=status)
    if status >= 500:
        raise Unfinished(f"answered {status}", status=status)
    if not 200 <= status < 300:
        raise Refused(f"answered {status}", _HINTS.get(status, "See what the API's manual says of it."), status=status)
    body = _body(response, max_bytes=max_bytes, until=until)
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (media == "application/json" or media.endswith(("+json", "/json"))):
        is_page = media == "text/html"
        raise SourceError(
            f"answered {status} with {_word(media)} instead of JSON"
            + (": a login or error page, perhaps of something in between" if is_page else ""),
            hint="Check url, the relation and auth.",
            status=status,
        )
    return Answer(status, response.headers, body, url)


def _body(response: httpx.Response, *, max_bytes: int, until: float) -> bytes:
    pieces, size = [], 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > max_bytes:
            raise SourceError(
                f"answered with more than {max_bytes:,} bytes",
                hint="Ask for smaller pages, or raise max_response.",
                case="too_large",
            )
        if time.monotonic() > until:
            raise Unfinished("took too long to send its answer")
        pieces.append(piece)
    return b"".join(pieces)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait, given as such or as a date (RFC 9110, section 10.2.3)."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    left_s: float = (moment - datetime.now(UTC)).total_seconds()
    return max(left_s, 0.0)


def _word(media: str) -> str:
    """The content type, if it looks like one."""
    plain = media.replace("/", "").replace("-", "").replace("+", "").replace(".", "")
    return media if plain.isalnum() and len(media) < 60 else "something"
