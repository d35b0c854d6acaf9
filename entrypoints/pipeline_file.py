"""Pipeline files: ``config/pipelines/<name>.yaml`` checked as a whole and turned into a ``PipelineSpec``.

Building the systems that a spec names is the container's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from entrypoints.findings import Findings, mapping
from entrypoints.grouping import grouped
from entrypoints.problems import Problem, nearest, refuse
from entrypoints.references import Secrets, written_secret
from entrypoints.schedule import parse_schedule
from entrypoints.schema_check import definition, options, schema
from entrypoints.settings import SECRET_HINT, SECRET_WRITTEN, Settings, texts
from entrypoints.stream_section import StreamReader
from entrypoints.system_section import SystemReader
from entrypoints.yaml_file import YamlFile, read_yaml
from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import BatchLimits, PipelineSpec, SystemSpec

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
    refuse(reader.findings.problems)
    if needs_source:
        used = {spec.source.name for spec in groups if spec.group == group}
        refuse([problem for source, problem in reader.findings.gaps if group is None or source in used])
    return PipelineFile(path, groups, dict(reversed(reader.findings.gaps)))


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
    refuse([*reader.findings.problems, *(problem for _, problem in reader.findings.gaps)])
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
    """Reads one file, collecting ``findings`` on the way; what it returns is only good if there are none."""

    def __init__(self, file: YamlFile, settings: Settings, *, environment: Mapping[str, str], secrets: Secrets) -> None:
        self.findings = findings = Findings(file)
        self._settings = settings
        self._name = name = file.path.stem
        self._systems = SystemReader(findings, settings, pipeline=name, environment=environment, secrets=secrets)
        self._streams = StreamReader(findings, settings)

    def read(self) -> tuple[PipelineSpec, ...]:
        """The groups of the file: of a source with a log its streams together, of another each alone."""
        content = self.findings.file.content if self.findings.file.content is not None else {}
        self.findings.check((), content, against=schema("pipeline"))
        for key, text in texts(content):
            if written_secret(key.rpartition(".")[2], text):
                self.findings.add(key, SECRET_WRITTEN, SECRET_HINT)
        sections: dict[str, Any] = content if isinstance(content, dict) else {}
        sources = self.sources(sections)
        streams = self._streams.specs(sections.get("streams"), sources)
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
        wanted = mapping(sections.get("airflow")).get("verify")
        known = list(mapping(sections.get("streams")))
        for name in wanted if isinstance(wanted, list) else ():
            if name not in known:
                self.findings.add(
                    "airflow.verify", f"names {name}, which is no stream of this file", nearest(str(name), known)
                )
        try:
            return parse_schedule(sections.get("schedule")).text
        except ValueError:
            return None  # the schema has said so

    def sources(self, sections: Mapping[str, Any]) -> dict[str, SystemSpec]:
        """The sources by name."""
        if "sources" not in sections:
            if "source" not in sections and not isinstance(self.findings.file.content, list | str):
                self.findings.add("source", "is missing", "")
            content = sections.get("source")
            name = content.get("name", self._name) if isinstance(content, dict) else self._name
            return {str(name): self._systems.spec("source", content, name=str(name))}
        if "source" in sections:
            self.findings.add("sources", "stands beside source; write one of them", "")
        listed = mapping(sections["sources"])
        return {
            str(name): self._systems.spec("source", content, name=str(name), place=f"sources.{name}")
            for name, content in listed.items()
        }

    def _refuse_clashes(self, whole: PipelineSpec) -> None:
        tables: dict[str, str] = {}
        for name, stream in whole.streams.items():
            other = tables.setdefault(stream.table, name)
            if other != name:
                self.findings.add(
                    f"streams.{name}", f"would share the table {stream.table} with the stream {other}", ""
                )

    def _warehouse(self, sections: Mapping[str, Any]) -> SystemSpec:
        content = _over(self._settings.warehouse, sections.get("warehouse"))
        is_snowflake = isinstance(content, dict) and content.get("kind") == "snowflake"
        return self._systems.spec(
            "warehouse", content, defaults=self._settings.snowflake.defaults(mapping(content)) if is_snowflake else {}
        )

    def _transform(self, sections: Mapping[str, Any]) -> tuple[SystemSpec | None, float]:
        if "transform" not in sections:
            return None, _DEFAULT_EVERY_S
        spec = self._systems.spec("transform", _over(self._settings.transform, sections["transform"]))
        plain = dict(spec.options)
        every_s = plain.pop("every", _DEFAULT_EVERY_S)
        return attrs.evolve(spec, options=plain), float(str(every_s))

    def _limits(self, sections: Mapping[str, Any]) -> BatchLimits:
        content = {**self._settings.batch, **mapping(sections.get("batch"))}
        against = definition("pipeline", "batch") or {}
        if self.findings.check(("batch",), content, against=against):
            return BatchLimits()
        return BatchLimits(**options(content, against))  # type: ignore[arg-type] # checked against the schema above


def _over(defaults: Mapping[str, object], content: object) -> object:
    """The settings' defaults under a section of the file, where both are of one kind."""
    if content is not None and not isinstance(content, dict):
        return content
    given = mapping(content)
    return given if given.get("kind", defaults.get("kind")) != defaults.get("kind") else {**defaults, **given}
