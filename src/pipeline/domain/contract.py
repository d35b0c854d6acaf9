"""Contracts: the columns, types and row rules that a stream is expected to keep, and what to do when they are broken.

Evaluating them over a batch is ``validation``'s; deciding about schema changes is ``evolution``'s.
"""

from __future__ import annotations

from enum import Enum

import attrs


class Severity(Enum):
    """What a broken row rule does to the row: only count it, set it apart, or stop the pipeline before loading."""

    WARN = "warn"
    QUARANTINE = "quarantine"
    STOP = "stop"


class OnMisfit(Enum):
    """What to do with a value that its warehouse type cannot hold; either way it is counted (P7)."""

    QUARANTINE = "quarantine"
    NULL = "null"
    STOP = "stop"


class OnSchemaChange(Enum):
    """What to do with a new or changed column: follow it, leave the new column out, or refuse to go on."""

    EVOLVE = "evolve"
    DISCARD = "discard"
    STOP = "stop"


class RuleKind(Enum):
    """The kinds of row rules."""

    TYPE = "type"
    NOT_NULL = "not_null"
    ACCEPTED = "accepted"
    RANGE = "range"
    LENGTH = "length"
    PATTERN = "pattern"
    UNIQUE = "unique"


@attrs.frozen
class Rule:
    """A rule over one column (``unique``: over ``columns``), null values passing all but ``not_null``.

    ``accepted`` lists allowed values; ``minimum`` and ``maximum`` bound values or lengths, both inclusive;
    ``pattern`` is an RE2 regular expression that must match somewhere in the text (anchor it with ``^`` and ``$``);
    ``type`` an Arrow type name that the column must have.
    """

    kind: RuleKind
    columns: tuple[str, ...] = attrs.field(converter=tuple)
    severity: Severity = Severity.QUARANTINE
    accepted: tuple[object, ...] = ()
    minimum: object = None
    maximum: object = None
    pattern: str | None = None
    type: str | None = None
    name: str = ""

    @property
    def label(self) -> str:
        """The name in reasons and counts: the given one, or kind and columns."""
        return self.name or f"{self.kind.value}({', '.join(self.columns)})"


@attrs.frozen
class Contract:
    """The rules of one stream. ``version`` is recorded with every quarantined row."""

    rules: tuple[Rule, ...] = ()
    on_schema_change: OnSchemaChange = OnSchemaChange.EVOLVE
    on_misfit: OnMisfit = OnMisfit.QUARANTINE
    version: str = "1"
