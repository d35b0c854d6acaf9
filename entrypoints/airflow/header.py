"""What a DAG needs to know of a pipeline file, read without settings, secrets, drivers or Airflow.

What is wrong with a file is told by the tasks, which read it whole; here a key that is wrong counts as left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import yaml

from entrypoints.grouping import grouped
from entrypoints.schedule import Schedule, parse_schedule
from entrypoints.units import seconds

#: The parser in C where there is one: a hundred files are read at every parse.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: ``verify`` of a file: every run compares one stream, the next one each time.
ROTATE = "rotate"

#: How many groups of a run are loaded at a time, as by the command line (``AT_ONCE`` of ``application.groups``).
AT_ONCE = 4

#: Warehouses that several processes can have open. The others are files that one of them holds, where a copy that takes
#: long would fail whatever waits for it.
_SHARED = {"snowflake"}

#: The params of a run that name the window of a backfill.
WINDOW = ("window_from", "window_to")


@attrs.frozen
class Orchestration:
    """The ``airflow`` section. Times are seconds; ``timeout_s`` is a task's, ``deadline_s`` a run's (None: none).

    ``pool`` is Airflow's, for the tasks that open the warehouse (None: the default one). ``wait_s`` is how long a run
    waits for changes before it goes on without; ``poll_s`` how often it looks.
    ``layers`` are the folders of dbt's models that get a task each. ``verify`` are the streams compared after a load,
    one of them each time where it ``rotates``. ``approve_rows``: copying this many rows again needs an approval.
    ``service``: ``stream`` loads, not the DAG.
    """

    owner: str = "pipeline"
    tags: tuple[str, ...] = ()
    pool: str | None = None
    retries: int = 3
    retry_delay_s: float = 60.0
    timeout_s: float | None = None
    deadline_s: float | None = None
    wait_s: float = 300.0
    poll_s: float = 5.0
    layers: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()
    rotates: bool = False
    approve: bool = True
    approve_rows: int = 10_000_000
    service: bool = False
    take_over: bool = False


@attrs.frozen
class Header:
    """``streams`` are names and modes in order of the file; ``sources`` and ``groups`` are names too. ``at_once`` is
    how many groups of a run may be loaded at a time.
    """

    name: str
    path: Path
    sources: tuple[str, ...]
    groups: tuple[str, ...]
    schedule: Schedule = attrs.field(factory=Schedule)
    description: str = ""
    streams: tuple[tuple[str, str], ...] = ()
    has_transform: bool = False
    at_once: int = 1
    orchestration: Orchestration = attrs.field(factory=Orchestration)


def read_headers(config_dir: Path) -> tuple[Header, ...]:
    """The headers of all pipeline files in order of name. A file that cannot be read gets one too: its first task then
    fails with what is wrong.
    """
    return tuple(read_header(path) for path in sorted((config_dir / "pipelines").glob("*.yaml")))


def read_header(path: Path) -> Header:
    """The header of one file."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        content = None
    sections = _mapping(content)
    kinds = _source_kinds(sections, path.stem)
    return Header(
        name=path.stem,
        path=path,
        sources=tuple(kinds),
        groups=_groups(kinds, _mapping(sections.get("streams"))),
        schedule=_schedule(sections.get("schedule")),
        description=str(sections.get("description") or "").strip(),
        streams=tuple(
            (str(stream), str(_mapping(entry).get("mode", "mirror")))
            for stream, entry in _mapping(sections.get("streams")).items()
        ),
        has_transform="transform" in sections,
        at_once=AT_ONCE if _mapping(sections.get("warehouse")).get("kind") in _SHARED else 1,
        orchestration=_orchestration(_mapping(sections.get("airflow")), _mapping(sections.get("streams"))),
    )


def _source_kinds(sections: Mapping[str, object], pipeline: str) -> dict[str, str]:
    """The kinds of the sources by name."""
    several = _mapping(sections.get("sources"))
    if several:
        return {str(name): str(_mapping(source).get("kind")) for name, source in several.items()}
    only = _mapping(sections.get("source"))
    name = only.get("name")
    return {name if isinstance(name, str) else pipeline: str(only.get("kind"))}


def _groups(kinds: Mapping[str, str], streams: Mapping[str, object]) -> tuple[str, ...]:
    """The names of the groups, at least one."""
    first = next(iter(kinds))
    named = {str(stream): str(_mapping(entry).get("source", first)) for stream, entry in streams.items()}
    return tuple(grouped(kinds, named)) or (first,)


def _schedule(value: object) -> Schedule:
    try:
        return parse_schedule(value)
    except ValueError:
        return Schedule()


def _orchestration(section: Mapping[str, object], streams: Mapping[str, object]) -> Orchestration:
    default = Orchestration()
    return Orchestration(
        owner=_text(section, "owner", default.owner),
        tags=_texts(section.get("tags")),
        pool=_text(section, "pool", "") or None,
        retries=_count(section, "retries", default.retries),
        retry_delay_s=_seconds(section, "retry_delay") or default.retry_delay_s,
        timeout_s=_seconds(section, "timeout"),
        deadline_s=_seconds(section, "deadline"),
        wait_s=default.wait_s if (wait_s := _seconds(section, "wait")) is None else wait_s,
        poll_s=_seconds(section, "poll") or default.poll_s,
        layers=_texts(section.get("layers")),
        verify=tuple(map(str, streams)) if section.get("verify") == ROTATE else _texts(section.get("verify")),
        rotates=section.get("verify") == ROTATE,
        approve=section.get("approve") is not False,
        approve_rows=_count(section, "approve_rows", default.approve_rows),
        service=section.get("service") is True,
        take_over=section.get("take_over") is True,
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(section: Mapping[str, object], key: str, default: str) -> str:
    value = section.get(key)
    return value if isinstance(value, str) and value else default


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _count(section: Mapping[str, object], key: str, default: int) -> int:
    value = section.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default


def _seconds(section: Mapping[str, object], key: str) -> float | None:
    value = section.get(key)
    try:
        return seconds(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except ValueError:
        return None
