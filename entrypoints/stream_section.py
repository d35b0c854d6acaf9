"""The section ``streams`` of a pipeline file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrypoints.contract_file import contract_named, contract_of
from entrypoints.findings import Findings, mapping
from entrypoints.grouping import has_log
from entrypoints.problems import nearest
from entrypoints.registry import SOURCES
from entrypoints.schema_check import options, source_definition
from entrypoints.settings import Settings
from pipeline.domain.contract import Contract
from pipeline.domain.stream import Mode, StreamSpec, SystemSpec


class StreamReader:
    """Turns the section into specs; what is wrong is noted in ``findings``."""

    def __init__(self, findings: Findings, settings: Settings) -> None:
        self._findings = findings
        self._settings = settings

    def specs(self, content: object, sources: Mapping[str, SystemSpec]) -> dict[str, StreamSpec]:
        """The streams by name."""
        streams = {}
        for name, entry in mapping(content).items():
            values = mapping(entry)
            source = self._source_of(str(name), values, sources)
            streams[str(name)] = StreamSpec(
                name=str(name),
                relation=str(values.get("relation", f"public.{name}" if has_log(source.kind) else name)),
                source=source.name,
                mode=self._mode(values.get("mode", Mode.MIRROR.value)),
                contract=self._contract(f"streams.{name}.contract", values.get("contract")),
                masks=mapping(values.get("masks")),
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
            self._findings.add(f"streams.{stream}.source", f"is missing; allowed: {', '.join(known)}", "")
        else:
            what = f"is {name}; allowed: {', '.join(known)}"
            self._findings.add(f"streams.{stream}.source", what, nearest(str(name), known))
        return SystemSpec("", str(name))

    def _read(self, key: str, content: object, source: SystemSpec) -> dict[str, object]:
        """How a stream is read, in the words of its source's kind."""
        if source.kind not in SOURCES:
            return {}  # said of the source
        against = source_definition(source.kind, "read")
        given = {} if content is None else content
        if self._findings.check(tuple(key.split(".")), given, against=against) or not isinstance(given, dict):
            return {}
        return options(given, against)

    def _mode(self, text: object) -> Mode:
        return Mode(text) if text in {mode.value for mode in Mode} else Mode.MIRROR

    def _contract(self, key: str, content: object) -> Contract:
        if content is None:
            return Contract()
        if isinstance(content, str):
            folder = self._settings.config_dir / "contracts"
            contract, problems = contract_named(content, folder, file=self._findings.file, key=key)
        else:
            contract, problems = contract_of(content, file=self._findings.file, key=key)
        self._findings.problems += problems
        return contract
