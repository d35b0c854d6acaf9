"""Which addresses an API may send us on to: its own host only, since every request carries what signs us in.

Following redirects and next pages is ``client``'s and ``paging``'s.
"""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from pipeline.domain.errors import SourceRejected

_PORTS = {"http": 80, "https": 443}


def checked_next(current: str, target: str, *, base: str, what: str) -> str:
    """The address ``target`` as seen from ``current``; raises ``SourceRejected`` unless it is one of ``base``'s host.

    A step from http to https on the same host is one's own; one from https to http is not.
    """
    url = urljoin(current, target)
    if not target or not _is_own(url, base):
        raise SourceRejected(
            f"{what} to another host, where secrets must not follow",
            hint="Check url: it should be the address that the API itself names, with https.",
        )
    return url


def _is_own(url: str, base: str) -> bool:
    try:
        ours, theirs = urlsplit(base), urlsplit(url)
        if theirs.hostname != ours.hostname or theirs.username or theirs.password:
            return False
        if theirs.scheme == ours.scheme:
            return _port(theirs.port, theirs.scheme) == _port(ours.port, ours.scheme)
        upgraded = (ours.scheme, theirs.scheme) == ("http", "https")
        return upgraded and ours.port in {None, 80} and theirs.port in {None, 443}
    except ValueError:  # a port that is none
        return False


def _port(port: int | None, scheme: str) -> int | None:
    return port or _PORTS.get(scheme)
