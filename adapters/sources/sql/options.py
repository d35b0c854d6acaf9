"""The options of a SQL source, checked once and frozen.

Which database they lead to is ``databases``' to say; how a stream is read is ``reading``'s.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from pipeline.domain.errors import ConfigError

DEFAULT_POLL_S = 60.0


@attrs.frozen
class SqlOptions:
    """``url`` may hold secrets. ``schema`` is where relations without one are looked for; "": the database's default.
    ``poll_s`` seconds lie between two looks of a long run. ``connect_args`` are the driver's own, for TLS and the like.
    """

    url: URL = attrs.field(repr=False)
    schema: str = ""
    poll_s: float = DEFAULT_POLL_S
    connect_args: Mapping[str, object] = attrs.field(factory=dict, repr=False)

    @property
    def where(self) -> str:
        """The database, for messages; no secret in it."""
        backend = self.url.get_backend_name()
        host = f"{self.url.host or ''}{f':{self.url.port}' if self.url.port else ''}"
        return f"{backend} {host}{'/' if host else ''}{self.url.database or ''}".strip()


def parse_options(name: str, options: Mapping[str, object]) -> SqlOptions:
    """Check a source's options; raises ``ConfigError`` naming the key."""
    where = f"source {name}"
    unknown = sorted(set(options) - {"url", "schema", "poll_s", "connect_args"})
    if unknown:
        raise ConfigError(
            f"unknown option {', '.join(unknown)}", where=where, hint="Known: url, schema, poll, connect_args."
        )
    arguments = options.get("connect_args") or {}
    if not isinstance(arguments, Mapping):
        raise ConfigError("connect_args is no mapping", where=where, hint="Write it as key: value lines.")
    return SqlOptions(
        _url(options.get("url"), where),
        schema=str(options.get("schema") or ""),
        poll_s=_seconds(options.get("poll_s", DEFAULT_POLL_S), where),
        connect_args={str(key): value for key, value in arguments.items()},
    )


def _url(given: object, where: str) -> URL:
    hint = "Write it as SQLAlchemy does: postgresql://user@host:5432/database, or sqlite:////folder/file.db."
    if not given:
        raise ConfigError("url is missing", where=where, hint=hint)
    try:
        return make_url(str(given))
    except (ArgumentError, ValueError):  # a port that is no number
        raise ConfigError("the url cannot be read", where=where, hint=hint) from None


def _seconds(given: object, where: str) -> float:
    try:
        seconds = float(str(given))
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise ConfigError("poll is no number of seconds above zero", where=where, hint="Write, for example, poll: 30s.")
    return seconds
