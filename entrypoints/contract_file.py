"""Contracts of streams, inline in a pipeline file or in ``config/contracts/<name>.yaml``.

Evaluating rules is the domain's; this module only turns what a person wrote into its values.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entrypoints.problems import Problem, nearest
from entrypoints.schema_check import faults, schema
from entrypoints.yaml_file import YamlFile, read_yaml
from pipeline.domain.contract import Contract, OnMisfit, OnSchemaChange, Rule, RuleKind, Severity

_KINDS = tuple(kind.value for kind in RuleKind)


def contract_named(name: str, folder: Path, *, file: YamlFile, key: str) -> tuple[Contract, list[Problem]]:
    """The contract in ``<folder>/<name>.yaml``, that ``key`` of ``file`` names."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = sorted(found.stem for found in folder.glob("*.yaml"))
        what = f"names the contract {name}, but there is no {path}"
        return Contract(), [file.problem(key, what, hint=nearest(name, known))]
    contract_file = read_yaml(path)
    if contract_file.problems:
        return Contract(), list(contract_file.problems)
    return contract_of(contract_file.content or {}, file=contract_file, key="")


def contract_of(content: object, *, file: YamlFile, key: str) -> tuple[Contract, list[Problem]]:
    """The contract that stands at ``key`` of ``file``, and everything that is wrong with it."""
    problems = [
        file.problem(_join(key, *path), what, hint=hint) for path, what, hint in faults(content, schema("contract"))
    ]
    if problems or not isinstance(content, Mapping):
        return Contract(), problems
    rules = []
    for index, entry in enumerate(content.get("rules", [])):
        fault = _rule_fault(entry)
        if fault:
            problems.append(file.problem(_join(key, "rules", str(index)), fault))
        else:
            rules.append(_rule(entry))
    contract = Contract(
        rules=tuple(rules),
        on_schema_change=OnSchemaChange(content.get("on_schema_change", "evolve")),
        on_misfit=OnMisfit(content.get("on_misfit", "quarantine")),
        version=str(content.get("version", "1")),
    )
    return contract, problems


def _rule_fault(entry: Mapping[str, Any]) -> str:
    kinds = [kind for kind in _KINDS if kind in entry]
    if len(kinds) != 1:
        given = " and ".join(kinds) or "none"
        return f"has {given}; a rule has exactly one of {', '.join(_KINDS)}"
    if ("column" in entry) == ("columns" in entry):
        return "needs either column or columns"
    if kinds[0] != RuleKind.UNIQUE.value and len(entry.get("columns", ["one"])) != 1:
        return f"has several columns; only unique takes more than one, not {kinds[0]}"
    return ""


def _rule(entry: Mapping[str, Any]) -> Rule:
    kind = next(kind for kind in RuleKind if kind.value in entry)
    bounds = entry[kind.value] if kind in {RuleKind.RANGE, RuleKind.LENGTH} else {}
    return Rule(
        kind=kind,
        columns=entry.get("columns") or (entry["column"],),
        severity=Severity(entry.get("severity", "quarantine")),
        accepted=tuple(entry.get("accepted", ())),
        minimum=bounds.get("min"),
        maximum=bounds.get("max"),
        pattern=entry.get("pattern"),
        type=entry.get("type"),
        name=entry.get("name", ""),
    )


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)
