"""The options of a Snowflake warehouse, checked as a whole and frozen.

How each way to sign in works is ``signin``'s; opening sessions is ``session``'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from adapters.warehouses.snowflake import signin
from adapters.warehouses.snowflake.patience import Backoff
from adapters.warehouses.snowflake.signin import KeyUnusable, Trouble
from pipeline.domain.errors import ConfigError

RETRY_S = 60.0
STATEMENT_TIMEOUT_S = 3600.0
LOCK_TIMEOUT_S = 60.0
UPLOAD_THREADS = 4

#: How long one try to sign in may take; see ``patience``.
LOGIN_TIMEOUT_S = 15
APPLICATION = "realtime_data_pipeline"

_PLACE = ("account", "host", "port", "protocol", "role", "warehouse", "database")
_SECONDS = {"retry_s": RETRY_S, "statement_timeout_s": STATEMENT_TIMEOUT_S, "lock_timeout_s": LOCK_TIMEOUT_S}
#: The service counts whole seconds, and takes none for "no limit".
_LEAST_S = {"retry_s": 0.0, "statement_timeout_s": 1.0, "lock_timeout_s": 1.0}
_OTHERS = ("transient_changelogs", "upload_threads", "work_folder", *_SECONDS)
_PROTOCOLS = ("https", "http")


@attrs.frozen
class SnowflakeOptions:
    """How to reach the account and how to behave there.

    ``connect`` are the keyword arguments of ``snowflake.connector.connect``, secrets inside; ``place`` is the account
    and the database, for messages. ``transient_changelogs`` makes changelogs without Fail-safe. ``upload_threads``
    upload files at a time. Seconds: ``retry_s`` to send a request again while nobody answers, ``statement_timeout_s``
    for one statement, ``lock_timeout_s`` for locks that other sessions hold. ``work_folder`` takes files on their way
    to the stage (None: the system's temporary folder).
    """

    connect: Mapping[str, object] = attrs.field(repr=False)
    place: str
    database: str
    role: str | None = None
    warehouse: str | None = None
    transient_changelogs: bool = False
    upload_threads: int = UPLOAD_THREADS
    retry_s: float = RETRY_S
    statement_timeout_s: float = STATEMENT_TIMEOUT_S
    lock_timeout_s: float = LOCK_TIMEOUT_S
    work_folder: Path | None = None


def parse(name: str, options: Mapping[str, object]) -> SnowflakeOptions:
    """Check a warehouse's options; raises ``ConfigError`` that lists everything wrong with them.

    ``account`` and ``database`` say where (``account`` may come from ``connection``), ``host``, ``port`` and
    ``protocol`` go another way than the account's name tells; ``role`` and ``warehouse`` are the user's defaults
    unless given. For the rest see ``SnowflakeOptions`` and ``signin.WAYS``.
    """
    given = {key: value for key, value in options.items() if value not in (None, "")}
    found = [*_troubles(given), *problems(given)]
    if found:
        raise _refusal(name, found)
    way = signin.way_of(given)
    return _options(given, signin.arguments(way, given) if isinstance(way, signin.Way) else {})


def problems(given: Mapping[str, object]) -> Iterator[Trouble]:
    """What is wrong across options: no account, or a way to sign in that is none, several, or not complete."""
    if not given.get("account") and not given.get("connection"):
        yield "account", "is missing", "Set it, or the environment variable SNOWFLAKE_ACCOUNT, to ORGANIZATION-ACCOUNT."
    way = signin.way_of(given)
    if not isinstance(way, signin.Way):
        yield way
        return
    found = list(signin.troubles(way, given))
    yield from found
    if not found:
        try:
            signin.arguments(way, given)
        except KeyUnusable as error:
            yield error.trouble


def _options(given: Mapping[str, object], sign_in: Mapping[str, object]) -> SnowflakeOptions:
    place = {key: given[key] for key in _PLACE if key in given}
    if "port" in place:
        place["port"] = int(str(place["port"]))
    waits = {key: float(str(given.get(key, default))) for key, default in _SECONDS.items()}
    connect: dict[str, object] = {
        **place,
        **sign_in,
        "application": APPLICATION,
        "login_timeout": LOGIN_TIMEOUT_S,
        "backoff_policy": Backoff(waits["retry_s"]),
        "platform_detection_timeout_seconds": 0.0,  # else each sign-in asks the clouds' metadata services where it runs
    }
    account = given.get("account") or given["connection"]
    return SnowflakeOptions(
        connect=connect,
        place=f"snowflake {account}/{given['database']}",
        database=str(given["database"]),
        role=str(given["role"]) if "role" in given else None,
        warehouse=str(given["warehouse"]) if "warehouse" in given else None,
        transient_changelogs=_truth(given.get("transient_changelogs", False)) or False,
        upload_threads=int(str(given.get("upload_threads", UPLOAD_THREADS))),
        work_folder=Path(str(given["work_folder"])) if "work_folder" in given else None,
        **waits,
    )


def _troubles(given: Mapping[str, object]) -> Iterator[Trouble]:
    known = {*_PLACE, *_OTHERS, *signin.OPTIONS, "user"}
    for key in sorted(set(given) - known):
        yield key, "is not known here", f"Options are {', '.join(sorted(known))}."
    if "database" not in given:
        yield "database", "is missing", "Name the database to load into."
    if given.get("protocol", "https") not in _PROTOCOLS:
        yield "protocol", f"is not known; allowed: {', '.join(_PROTOCOLS)}", ""
    for key, least in (("port", 1), ("upload_threads", 1)):
        if key in given and not _is_whole(given[key], least):
            yield key, f"is no whole number of {least} or more", ""
    for key in _SECONDS:
        if key in given and not _is_seconds(given[key], _LEAST_S[key]):
            yield key, f"is no number of seconds from {_LEAST_S[key]:g} on", ""
    if _truth(given.get("transient_changelogs", False)) is None:
        yield "transient_changelogs", "is neither true nor false", ""


def _refusal(name: str, found: list[Trouble]) -> ConfigError:
    lines = [f"  {option} {what}.{' ' + hint if hint else ''}" for option, what, hint in found]
    noun = "problem" if len(found) == 1 else "problems"
    return ConfigError(
        f"{len(found)} {noun} with the options\n" + "\n".join(lines) + "\n",
        where=f"warehouse {name}",
        hint="Mend the options named above.",
        problems=[{"key": option, "what": what, "hint": hint} for option, what, hint in found],
    )


def _is_whole(value: object, least: int) -> bool:
    text = str(value)
    return not isinstance(value, bool) and text.isascii() and text.isdigit() and int(text) >= least


def _is_seconds(value: object, least_s: float) -> bool:
    try:
        return least_s <= float(str(value)) < math.inf
    except ValueError:
        return False


def _truth(value: object) -> bool | None:
    return {"true": True, "false": False}.get(str(value).lower())
