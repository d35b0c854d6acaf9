"""Writes a pipeline file from what a live source has.

Which relations can be captured is the source's judgement; the file works with ``run`` as it is.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from entrypoints.cli.invocation import redactor, settings_of
from entrypoints.cli.options import Common
from entrypoints.cli.output import show, shown
from pipeline.domain.errors import ConfigError, SourceRejected
from pipeline.domain.stream import SystemSpec
from pipeline.ports.source import Relation

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")


def write_pipeline(
    name: str,
    common: Common,
    *,
    source: Mapping[str, str],
    schemas: tuple[str, ...],
    output: Path | None,
    force: bool,
) -> int:
    """Discover what the source has that ``source`` describes as a file's section does, and write the file of pipeline
    ``name``.
    """
    from entrypoints.cli.stopping import stopping
    from entrypoints.pipeline_file import load_source

    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name} is no name for a pipeline", hint="Use letters, digits and underscores, a letter first."
        )
    settings = settings_of(common)
    path = output or settings.config_dir / "pipelines" / f"{name}.yaml"
    if path.exists() and not force:
        raise ConfigError(
            "the file exists already", where=str(path), hint="Give another name, or --force to overwrite."
        )
    spec = load_source(name, source, settings, secrets=redactor().secrets)
    with stopping(graceful=False):
        relations = _discover(spec)
    wanted = tuple(relation for relation in relations if not schemas or _schema(relation) in schemas)
    if not any(relation.reason is None for relation in wanted):
        raise SourceRejected(
            "nothing here can be captured",
            where=f"source {source['kind']}" + (f", schemas {', '.join(schemas)}" if schemas else ""),
            hint="Check the address, the role's grants and --schema.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(pipeline_text(name, wanted, source=source), encoding="utf-8")
    streams = stream_names(wanted)
    left_out = {relation.name: relation.reason for relation in wanted if relation.reason is not None}
    lines = [
        f"{shown(path)} written: {len(streams)} streams, {len(left_out)} relations left out.",
        f"Next: python -m entrypoints.cli doctor {name if output is None else path}",
    ]
    show(
        common,
        as_json=lambda: {"file": str(path), "streams": sorted(streams.values()), "left_out": left_out},
        as_table=lambda: "\n".join(lines),
    )
    return 0


def source_section(kind: str, *, dsn_env: str | None, given: tuple[str, ...]) -> dict[str, str]:
    """The source section that the options ask for: ``given`` are texts such as ``url=./drop``. Raises ``ConfigError``
    for what is none.
    """
    section = {"kind": kind}
    if dsn_env is not None:
        _check_variable(dsn_env)
        section["dsn"] = f"${{{dsn_env}}}"
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError("--set takes KEY=VALUE", hint="For example: --set url=./drop")
        section[key] = value
    if len(section) == 1:
        raise ConfigError(
            "nothing says where the source is",
            hint="For PostgreSQL: --dsn-env VARIABLE. For others, for example: --kind files --set url=./drop",
        )
    return section


def pipeline_text(name: str, relations: Iterable[Relation], *, source: Mapping[str, str]) -> str:
    """The file: what has a key is mirrored, the rest kept as appended changes; comments say what is left out."""
    listed = list(relations)
    names = stream_names(listed)
    lines = [
        f"description: {name}, written from what its source has.",
        "",
        "source:",
        *(f"  {key}: {_scalar(value)}" for key, value in source.items()),
        "",
        "warehouse:",
        "  kind: duckdb",
        f"  path: var/{name}.duckdb",
        "",
        "streams:",
    ]
    for relation in listed:
        if relation.reason is None:
            lines += _stream(names[relation.name], relation)
    left_out = [relation for relation in listed if relation.reason is not None]
    if left_out:
        lines += ["", "# Left out:"]
        lines += [f"#   {_one_line(relation.name)} ({relation.kind}): {_reason(relation)}" for relation in left_out]
    lines += ["", "# For marts behind it, add a dbt project's models and:", "# transform:", f"#   select: +tag:{name}"]
    return "\n".join(lines) + "\n"


def stream_names(relations: Iterable[Relation]) -> dict[str, str]:
    """A stream name for each relation that can be captured: its own, with the schema before it where two share one."""
    capturable = [relation for relation in relations if relation.reason is None]
    plain = [_plain(relation.name.rpartition(".")[2]) for relation in capturable]
    names: dict[str, str] = {}
    taken: set[str] = set()
    for relation, name in zip(capturable, plain, strict=True):
        shared = sum(other.lower() == name.lower() for other in plain) > 1
        base = _plain(relation.name) if shared else name
        candidate, number = base, 2
        while candidate.lower() in taken:
            candidate, number = f"{base[:60]}_{number}", number + 1
        taken.add(candidate.lower())
        names[relation.name] = candidate
    return names


def _check_variable(dsn_env: str) -> None:
    if not _VARIABLE.fullmatch(dsn_env):
        # It may be a connection string given by mistake, so it is not repeated here.
        raise ConfigError(
            "--dsn-env takes the name of an environment variable, not a connection string",
            hint="For example: export CRM_DSN=postgresql://... and then --dsn-env CRM_DSN",
        )
    if not os.environ.get(dsn_env):
        raise ConfigError(
            f"the environment variable {dsn_env} is not set",
            hint=f"For example: export {dsn_env}=postgresql://user:password@host:5432/database",
        )


def _discover(spec: SystemSpec) -> tuple[Relation, ...]:
    from entrypoints.container import source_of
    from pipeline.application.discover import discover

    source = source_of(spec)
    try:
        return discover(source)
    finally:
        source.close()


def _stream(name: str, relation: Relation) -> list[str]:
    mode = "mirror" if relation.schema.key else "append"
    key = f"key {', '.join(relation.schema.key)}" if relation.schema.key else "no key: every change is kept as a row"
    rows = "" if relation.estimated_count is None else f", about {relation.estimated_count:,} rows"
    return [
        f"  {name}:  # {_one_line(key)}{rows}",
        f"    relation: {_quoted(relation.name)}",
        f"    mode: {mode}",
        *_read(relation.read),
    ]


def _read(read: Mapping[str, object]) -> list[str]:
    """How it is read, a line for each key."""
    import json

    if not read:
        return []
    return ["    read:", *(f"      {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in read.items())]


def _reason(relation: Relation) -> str:
    """Why it is left out, without its name a second time."""
    return _one_line((relation.reason or "").removeprefix(f"{relation.name} "))


def _schema(relation: Relation) -> str:
    return relation.name.partition(".")[0].strip('"')


def _plain(name: str) -> str:
    unaccented = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    text = _NOT_IN_NAMES.sub("_", unaccented).strip("_")
    return (text if text[:1].isalpha() else f"t_{text}")[:63]


def _quoted(text: str) -> str:
    """A YAML scalar; quoted unless it is plainly a name."""
    import json

    return text if re.fullmatch(r"[a-z_][a-z0-9_.]*", text) else json.dumps(text, ensure_ascii=False)


def _scalar(text: str) -> str:
    """A YAML scalar; a reference alone needs no quotes."""
    return text if _REFERENCE.fullmatch(text) else _quoted(text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
