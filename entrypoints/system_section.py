"""The sections of a pipeline file that name a system: its source or sources, its warehouse, what transforms."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping

from entrypoints.findings import Findings
from entrypoints.folders import packaged_folder
from entrypoints.problems import nearest
from entrypoints.references import Secrets, Unresolved, has_reference, resolve
from entrypoints.registry import SOURCES, TRANSFORMERS, WAREHOUSES
from entrypoints.schema_check import definition, options, source_definition
from entrypoints.settings import Settings
from pipeline.domain.stream import SystemSpec

_KINDS: dict[str, Collection[str]] = {"source": SOURCES, "warehouse": WAREHOUSES, "transform": TRANSFORMERS}
#: Modules whose ``problems`` say what is wrong across the keys of a section, beyond its schema.
_RULES = {"warehouse.snowflake": "adapters.warehouses.snowflake.options"}


class SystemReader:
    """Turns such sections of the file of ``pipeline`` into specs, their references resolved; what is wrong is noted in
    ``findings``.
    """

    def __init__(
        self,
        findings: Findings,
        settings: Settings,
        *,
        pipeline: str,
        environment: Mapping[str, str],
        secrets: Secrets,
    ) -> None:
        self._findings = findings
        self._settings = settings
        self._pipeline = pipeline
        self._environment = environment
        self._secrets = secrets

    def spec(
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
                self._findings.add(f"{place}.kind", f"is missing; allowed: {', '.join(_KINDS[section])}", "")
            return SystemSpec("", name)
        kind = str(content["kind"])
        if kind not in _KINDS[section]:
            known = list(_KINDS[section])
            self._findings.add(f"{place}.kind", f"is {kind}; allowed: {', '.join(known)}", nearest(kind, known))
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
        is_wrong = self._findings.check(
            tuple(place.split(".")), resolved, against=against, written=content, source=source
        )
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

    def _resolve(self, section: str, key: str, value: object, *, source: str = "") -> object:
        if isinstance(value, dict):
            return {
                inner: self._resolve(section, f"{key}.{inner}", item, source=source) for inner, item in value.items()
            }
        if isinstance(value, list):
            return [self._resolve(section, key, item, source=source) for item in value]
        if not isinstance(value, str):
            return value
        text = value.replace("{pipeline}", self._pipeline)
        if not has_reference(text):
            return text
        try:
            return resolve(key, text, environment=self._environment, secrets=self._secrets)
        except Unresolved as error:
            hint = f"Set it, for example: export {error.name}=..." if not error.name.startswith("file:") else ""
            if source:
                self._findings.add_gap(source, f"{section}.{key}", error.what, hint)
            else:
                self._findings.add(f"{section}.{key}", error.what, hint)
            return text

    def _breaks_rules(self, section: str, resolved: Mapping[str, object]) -> bool:
        """Note what is wrong across keys, unless that key has its problem already; whether there was anything."""
        rules = _RULES.get(f"{section}.{resolved['kind']}")
        if rules is None:
            return False
        known = self._findings.keys
        found = list(importlib.import_module(rules).problems(resolved))
        for option, what, hint in found:
            key = f"{section}.{option}"
            if key not in known:
                self._findings.add(key, what, hint)
        return bool(found)
