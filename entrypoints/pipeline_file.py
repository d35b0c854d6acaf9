"""Pipeline files: ``config/pipelines/<name>.yaml`` checked as a whole and turned into a ``PipelineSpec``.

Building the systems that a spec names is the container's.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import attrs

from entrypoints.contract_file import contract_named, contract_of
from entrypoints.folders import packaged_folder
from entrypoints.grouping import grouped, has_log
from entrypoints.problems import Problem, nearest, refuse
from entrypoints.references import Secrets, Unresolved, has_reference, resolve, written_secret
from entrypoints.registry import SOURCES, TRANSFORMERS, WAREHOUSES
from entrypoints.schedule import parse_schedule
from entrypoints.schema_check import definition, faults, options, schema, source_definition
from entrypoints.settings import SECRET_HINT, SECRET_WRITTEN, Settings, texts
from entrypoints.yaml_file import YamlFile, read_yaml
from pipeline.domain.contract import Contract
from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import BatchLimits, Mode, PipelineSpec, StreamSpec, SystemSpec

_KINDS: dict[str, Collection[str]] = {"source": SOURCES, "warehouse": WAREHOUSES, "transform": TRANSFORMERS}
#: Modules whose ``problems`` say what is wrong across the keys of a section, beyond its schema.
_RULES = {"warehouse.snowflake": "adapters.warehouses.snowflake.options"}
_DEFAULT_EVERY_S = 60.0


@attrs.frozen
class PipelineFile:
    """A checked file: the groups that its streams form, at least one. ``source_gaps`` are references in the sections
    of sources that name nothing, or nothing that fits there, by source: only what needs no source, or not that one,
    may go on with them.
    """

    path: Path
    groups: tuple[PipelineSpec, ...]
    source_gaps: Mapping[str, Problem] = attrs.field(factory=dict)

    @property
    def spec(self) -> PipelineSpec:
        """The only group, or the first: good for what all groups share."""
        return self.groups[0]


def pipeline_paths(settings: Settings) -> dict[str, Path]:
    """Every pipeline file of the configuration folder by pipeline name, in order of name."""
    folder = settings.config_dir / "pipelines"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_pipeline(
    name: str,
    settings: Settings,
    *,
    needs_source: bool = True,
    group: str | None = None,
    environment: Mapping[str, str] | None = None,
    secrets: Secrets | None = None,
) -> PipelineFile:
    """Read the pipeline called ``name``, or the file at that path; raises ``ConfigError`` with every problem in it.
    ``needs_source``: gaps of sources are problems too, or only those of the source of ``group`` where it is named.
    """
    environment = os.environ if environment is None else environment
    path = _find(name, settings)
    file = read_yaml(path)
    if file.content is None:
        refuse(file.problems)
    reader = _Reader(file, settings, environment=environment, secrets=secrets or Secrets())
    groups = reader.read()
    refuse(reader.problems)
    if needs_source:
        used = {spec.source.name for spec in groups if spec.group == group}
        refuse([problem for source, problem in reader.gaps if group is None or source in used])
    return PipelineFile(path, groups, dict(reversed(reader.gaps)))


def load_source(
    name: str,
    section: Mapping[str, object],
    settings: Settings,
    *,
    secrets: Secrets,
    environment: Mapping[str, str] | None = None,
) -> SystemSpec:
    """A source section that stands in no file yet, checked and resolved; raises ``ConfigError`` with every problem."""
    environment = os.environ if environment is None else environment
    file = YamlFile(Path(f"source of {name}"), {"source": section}, {}, ())
    reader = _Reader(file, settings, environment=environment, secrets=secrets)
    [spec] = reader.sources({"source": {**section, "name": name}}).values()
    refuse([*reader.problems, *(problem for _, problem in reader.gaps)])
    return spec


def _find(name: str, settings: Settings) -> Path:
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if path.is_file():
            return path
        raise ConfigError("there is no such pipeline file", where=name, hint="Check the path.")
    known = pipeline_paths(settings)
    if name in known:
        return known[name]
    raise ConfigError(
        f"there is no pipeline called {name}; there are: {', '.join(known) or 'none'}",
        where=str(settings.config_dir / "pipelines"),
        hint=nearest(name, known) or "Write one by: python -m entrypoints.cli init NAME --dsn-env VARIABLE",
    )


class _Reader:
    """Reads one file, collecting problems on the way; what it returns is only good if there are none."""

    def __init__(self, file: YamlFile, settings: Settings, *, environment: Mapping[str, str], secrets: Secrets) -> None:
        self.problems: list[Problem] = list(file.problems)
        self.gaps: list[tuple[str, Problem]] = []
        self._file = file
        self._settings = settings
        self._environment = environment
        self._secrets = secrets
        self._name = file.path.stem

    def read(self) -> tuple[PipelineSpec, ...]:
        """The groups of the file: of a source with a log its streams together, of another each alone."""
        content = self._file.content if self._file.content is not None else {}
        self._check((), content, against=schema("pipeline"))
        for key, text in texts(content):
            if written_secret(key.rpartition(".")[2], text):
                self._add(key, SECRET_WRITTEN, SECRET_HINT)
        sections: dict[str, Any] = content if isinstance(content, dict) else {}
        sources = self.sources(sections)
        streams = self._streams(sections.get("streams"), sources)
        transform, every_s = self._transform(sections)
        whole = PipelineSpec(
            name=self._name,
            source=next(iter(sources.values()), SystemSpec("", self._name)),
            warehouse=self._warehouse(sections),
            streams=streams,
            transform=transform,
            transform_every_s=every_s,
            limits=self._limits(sections),
            schedule=self._schedule(sections),
            description=str(sections.get("description", "")).strip(),
        )
        self._refuse_clashes(whole)
        kinds = {name: source.kind for name, source in sources.items()}
        groups = grouped(kinds, {name: spec.source for name, spec in streams.items()})
        return tuple(
            attrs.evolve(whole, source=sources[source], streams={name: streams[name] for name in names}, group=group)
            for group, (source, names) in groups.items()
        ) or (whole,)

    def _schedule(self, sections: Mapping[str, Any]) -> str | None:
        """The schedule in words; how the DAG is run is otherwise ``airflow``'s, but which streams it names is known
        here.
        """
        wanted = _mapping(sections.get("airflow")).get("verify")
        known = list(_mapping(sections.get("streams")))
        for name in wanted if isinstance(wanted, list) else ():
            if name not in known:
                self._add("airflow.verify", f"names {name}, which is no stream of this file", nearest(str(name), known))
        try:
            return parse_schedule(sections.get("schedule")).text
        except ValueError:
            return None  # the schema has said so

    def sources(self, sections: Mapping[str, Any]) -> dict[str, SystemSpec]:
        """The sources by name."""
        if "sources" not in sections:
            if "source" not in sections and not isinstance(self._file.content, list | str):
                self._add("source", "is missing", "")
            content = sections.get("source")
            name = content.get("name", self._name) if isinstance(content, dict) else self._name
            return {str(name): self._system("source", content, name=str(name))}
        if "source" in sections:
            self._add("sources", "stands beside source; write one of them", "")
        listed = _mapping(sections["sources"])
        return {
            str(name): self._system("source", content, name=str(name), place=f"sources.{name}")
            for name, content in listed.items()
        }

    def _refuse_clashes(self, whole: PipelineSpec) -> None:
        tables: dict[str, str] = {}
        for name, stream in whole.streams.items():
            other = tables.setdefault(stream.table, name)
            if other != name:
                self._add(f"streams.{name}", f"would share the table {stream.table} with the stream {other}", "")

    def _warehouse(self, sections: Mapping[str, Any]) -> SystemSpec:
        content = self._over(self._settings.warehouse, sections.get("warehouse"))
        is_snowflake = isinstance(content, dict) and content.get("kind") == "snowflake"
        return self._system(
            "warehouse", content, defaults=self._settings.snowflake.defaults(_mapping(content)) if is_snowflake else {}
        )

    def _transform(self, sections: Mapping[str, Any]) -> tuple[SystemSpec | None, float]:
        if "transform" not in sections:
            return None, _DEFAULT_EVERY_S
        spec = self._system("transform", self._over(self._settings.transform, sections["transform"]))
        plain = dict(spec.options)
        every_s = plain.pop("every", _DEFAULT_EVERY_S)
        return attrs.evolve(spec, options=plain), float(str(every_s))

    def _limits(self, sections: Mapping[str, Any]) -> BatchLimits:
        content = {**self._settings.batch, **_mapping(sections.get("batch"))}
        against = definition("pipeline", "batch") or {}
        if self._check(("batch",), content, against=against):
            return BatchLimits()
        return BatchLimits(**options(content, against))  # type: ignore[arg-type] # checked against the schema above

    def _system(
        self,
        section: str,
        content: object,
        *,
        name: str = "",
        place: str = "",
        defaults: Mapping[str, str] | None = None,
    ) -> SystemSpec:
        """A section as a spec, written at the key ``place``. ``defaults`` are values that need no resolving, for keys
        that it leaves out.
        """
        place = place or section
        if not isinstance(content, dict) or "kind" not in content:
            if section != "source":  # of the source the schema has said so
                self._add(f"{place}.kind", f"is missing; allowed: {', '.join(_KINDS[section])}", "")
            return SystemSpec("", name)
        kind = str(content["kind"])
        if kind not in _KINDS[section]:
            known = list(_KINDS[section])
            self._add(f"{place}.kind", f"is {kind}; allowed: {', '.join(known)}", nearest(kind, known))
            return SystemSpec(kind, name or kind)
        if section == "source":
            against = source_definition(kind, "source")
        else:
            against = definition("pipeline", f"{section}.{kind}") or {}
        forms = {key: rule.get("format") for key, rule in against.get("properties", {}).items()}
        resolved = {
            key: self._located(self._resolve(place, key, value, source=name), form=forms.get(key))
            for key, value in content.items()
        } | dict(defaults or {})
        source = name if section == "source" else ""
        is_wrong = self._check(tuple(place.split(".")), resolved, against=against, written=content, source=source)
        if self._breaks_rules(section, resolved) or is_wrong:
            return SystemSpec(kind, name or kind)
        given = {key: value for key, value in resolved.items() if key not in {"kind", "name"}}
        return SystemSpec(kind, name or kind, options=options(given, against))

    def _located(self, value: object, *, form: str | None) -> object:
        """Paths from the home folder; a dbt project that is not there is the one that ships with the package. A
        location may be a URL too.
        """
        if form not in {"path", "project", "location"} or not isinstance(value, str):
            return value
        if form == "location" and "://" in value:
            return value
        path = self._settings.home / value
        packaged = packaged_folder("dbt")
        is_packaged = form == "project" and value == "dbt" and not path.is_dir() and packaged.is_dir()
        return str(packaged if is_packaged else path)

    def _streams(self, content: object, sources: Mapping[str, SystemSpec]) -> dict[str, StreamSpec]:
        streams = {}
        for name, entry in _mapping(content).items():
            values = _mapping(entry)
            source = self._source_of(str(name), values, sources)
            streams[str(name)] = StreamSpec(
                name=str(name),
                relation=str(values.get("relation", f"public.{name}" if has_log(source.kind) else name)),
                source=source.name,
                mode=self._mode(values.get("mode", Mode.MIRROR.value)),
                contract=self._contract(f"streams.{name}.contract", values.get("contract")),
                masks=_mapping(values.get("masks")),
                exclude=frozenset(values.get("exclude") or ()),
                read=self._read(f"streams.{name}.read", values.get("read"), source),
            )
        return streams

    def _source_of(self, stream: str, values: Mapping[str, Any], sources: Mapping[str, SystemSpec]) -> SystemSpec:
        """The source that a stream names, or the only one."""
        name = values.get("source")
        if name is None and len(sources) == 1:
            return next(iter(sources.values()))
        if name in sources:
            return sources[str(name)]
        known = list(sources)
        if name is None:
            self._add(f"streams.{stream}.source", f"is missing; allowed: {', '.join(known)}", "")
        else:
            what = f"is {name}; allowed: {', '.join(known)}"
            self._add(f"streams.{stream}.source", what, nearest(str(name), known))
        return SystemSpec("", str(name))

    def _read(self, key: str, content: object, source: SystemSpec) -> dict[str, object]:
        """How a stream is read, in the words of its source's kind."""
        if source.kind not in SOURCES:
            return {}  # said of the source
        against = source_definition(source.kind, "read")
        given = {} if content is None else content
        if self._check(tuple(key.split(".")), given, against=against) or not isinstance(given, dict):
            return {}
        return options(given, against)

    def _mode(self, text: object) -> Mode:
        return Mode(text) if text in {mode.value for mode in Mode} else Mode.MIRROR

    def _contract(self, key: str, content: object) -> Contract:
        if content is None:
            return Contract()
        if isinstance(content, str):
            folder = self._settings.config_dir / "contracts"
            contract, problems = contract_named(content, folder, file=self._file, key=key)
        else:
            contract, problems = contract_of(content, file=self._file, key=key)
        self.problems += problems
        return contract

    def _resolve(self, section: str, key: str, value: object, *, source: str = "") -> object:
        if isinstance(value, dict):
            return {
                inner: self._resolve(section, f"{key}.{inner}", item, source=source) for inner, item in value.items()
            }
        if isinstance(value, list):
            return [self._resolve(section, key, item, source=source) for item in value]
        if not isinstance(value, str):
            return value
        text = value.replace("{pipeline}", self._name)
        if not has_reference(text):
            return text
        try:
            return resolve(key, text, environment=self._environment, secrets=self._secrets)
        except Unresolved as error:
            hint = f"Set it, for example: export {error.name}=..." if not error.name.startswith("file:") else ""
            gap = self._file.problem(f"{section}.{key}", error.what, hint=hint)
            if section.partition(".")[0] in {"source", "sources"}:
                self.gaps.append((source, gap))
            else:
                self.problems.append(gap)
            return text

    def _over(self, defaults: Mapping[str, object], content: object) -> object:
        """The settings' defaults under a section of the file, where both are of one kind."""
        if content is not None and not isinstance(content, dict):
            return content
        given = _mapping(content)
        return given if given.get("kind", defaults.get("kind")) != defaults.get("kind") else {**defaults, **given}

    def _check(
        self,
        prefix: tuple[str, ...],
        content: object,
        *,
        against: Mapping[str, Any],
        written: object = None,
        source: str = "",
    ) -> bool:
        """Note what the schema does not allow; whether there was anything. ``written`` is the content before it was
        resolved: what a reference of a ``source`` stands for is that source's gap.
        """
        found = list(faults(content, dict(against)))
        for path, what, hint in found:
            key = ".".join((*prefix, *path))
            if not (source and _is_referred_to(written, path)):
                self._add(key, what, hint)
            elif key not in {gap.key for _, gap in self.gaps}:
                self.gaps.append((source, self._file.problem(key, what, hint=hint)))
        return bool(found)

    def _breaks_rules(self, section: str, resolved: Mapping[str, object]) -> bool:
        """Note what is wrong across keys, unless that key has its problem already; whether there was anything."""
        rules = _RULES.get(f"{section}.{resolved['kind']}")
        if rules is None:
            return False
        known = {problem.key for problem in self.problems}
        found = list(importlib.import_module(rules).problems(resolved))
        for option, what, hint in found:
            if f"{section}.{option}" not in known:
                self._add(f"{section}.{option}", what, hint)
        return bool(found)

    def _add(self, key: str, what: str, hint: str) -> None:
        problem = self._file.problem(key, what, hint=hint)
        if problem not in self.problems:
            self.problems.append(problem)


def _mapping(content: object) -> dict[str, Any]:
    return content if isinstance(content, dict) else {}


def _is_referred_to(written: object, path: tuple[str, ...]) -> bool:
    """Whether the value at a path is not written out."""
    for part in path:
        written = written[int(part)] if isinstance(written, list) else _mapping(written).get(part)
    return isinstance(written, str) and has_reference(written)
