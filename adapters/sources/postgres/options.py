"""The options of a PostgreSQL source, checked once and frozen.

Opening connections with them is ``connection``'s work.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import attrs
from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipeline.domain.errors import ConfigError

NAME_BYTES = 63

_NOT_IN_NAMES = re.compile(r"[^a-z0-9_]+")
_SECONDS = ("heartbeat_s", "silence_timeout_s", "slot_wait_s", "slot_create_timeout_s", "lock_timeout_s")

#: Our own defaults of libpq's parameters; a DSN or an option overrides them.
LIBPQ_DEFAULTS: dict[str, str] = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "realtime-data-pipeline",
}


@attrs.frozen
class PostgresOptions:
    """How to reach the server and what the pipeline keeps there.

    ``conninfo`` is a libpq connection string and may hold secrets. ``manage_publication`` says whether the pipeline
    creates and alters ``publication`` itself. Seconds: ``heartbeat_s`` between heartbeats when nothing arrives (0:
    none), ``silence_timeout_s`` until a connection that says nothing is given up, ``slot_wait_s`` to wait for a slot
    that another process holds, ``slot_create_timeout_s`` for transactions that were open before the slot,
    ``lock_timeout_s`` for locks. ``buffer_bytes`` bounds what is read ahead of the pipeline; ``work_folder`` takes
    large transactions.
    """

    conninfo: str = attrs.field(repr=False)
    slot: str
    publication: str
    manage_publication: bool = True
    heartbeat_s: float = 60.0
    silence_timeout_s: float = 60.0
    slot_wait_s: float = 90.0
    slot_create_timeout_s: float = 600.0
    lock_timeout_s: float = 30.0
    buffer_bytes: int = 32 * 1024 * 1024
    work_folder: Path = Path()

    @property
    def where(self) -> str:
        """Host, port and database, for messages; no secret in it."""
        parts = conninfo_to_dict(self.conninfo)
        return f"{parts.get('host', 'localhost')}:{parts.get('port', '5432')}/{parts.get('dbname', '')}"


def parse_options(name: str, options: Mapping[str, object], *, pipeline: str) -> PostgresOptions:
    """Check a source's options; raises ``ConfigError`` naming the key. Unknown keys are libpq's or refused."""
    where = f"source {name}"
    rest = dict(options)
    default = default_name(pipeline)
    own: dict[str, object] = {
        "slot": _name(rest.pop("slot", default), "slot", where),
        "publication": str(rest.pop("publication", default)),
        "manage_publication": _flag(rest.pop("manage_publication", True), "manage_publication", where),
        "buffer_bytes": int(_number(rest.pop("buffer_bytes", 32 * 1024 * 1024), "buffer_bytes", where)),
        "work_folder": Path(str(rest.pop("work_folder", "") or Path(tempfile.gettempdir()) / default)),
    }
    for key in _SECONDS:
        if key in rest:
            own[key] = _number(rest.pop(key), key, where)
    return PostgresOptions(conninfo=_conninfo(rest, where), **own)  # type: ignore[arg-type]  # checked above, key by key


def default_name(pipeline: str) -> str:
    """The slot and publication of a pipeline unless told otherwise: ``rdp_<pipeline>``."""
    return ("rdp_" + _NOT_IN_NAMES.sub("_", pipeline.lower()))[:NAME_BYTES]


def _conninfo(options: dict[str, object], where: str) -> str:
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    dsn = str(options.pop("dsn", "") or "")
    unknown = sorted(set(options) - known)
    if unknown:
        raise ConfigError(
            f"unknown option {', '.join(unknown)}",
            where=where,
            hint="Use dsn, libpq's connection parameters, or the options that the README lists.",
        )
    given = {key: str(value) for key, value in options.items() if value is not None}
    try:
        parts = conninfo_to_dict(dsn)
        merged = make_conninfo("", **{**LIBPQ_DEFAULTS, **parts, **given})
    except ProgrammingError:
        raise ConfigError(
            "the dsn cannot be read", where=where, hint="Write it as postgresql://user@host:5432/database."
        ) from None
    if not ({"host", "hostaddr", "service"} & (set(parts) | set(given))):
        raise ConfigError("neither dsn nor host is given", where=where, hint="Set dsn or host.")
    return merged


def _name(value: object, key: str, where: str) -> str:
    text = str(value)
    if not text or len(text) > NAME_BYTES or _NOT_IN_NAMES.search(text):
        raise ConfigError(
            f"{key} is not a name that PostgreSQL allows",
            where=where,
            hint=f"Use 1 to {NAME_BYTES} lower-case letters, digits and underscores.",
        )
    return text


def _number(value: object, key: str, where: str) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = -1.0
    if number < 0:
        raise ConfigError(f"{key} is not a number of zero or more", where=where, hint=f"Set {key} to a number.")
    return number


def _flag(value: object, key: str, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in {"true", "false"}:
        return str(value).lower() == "true"
    raise ConfigError(f"{key} is neither true nor false", where=where, hint=f"Set {key} to true or false.")
