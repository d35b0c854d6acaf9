"""A SQL text with its values, and the few ways in which names and literals get into such a text.

Which statements there are is told in ``sql``, ``modes`` and ``control``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from adapters.warehouses.names import Names

#: Names that people can type unquoted in any case, since they are stored in upper case.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _values(values: Iterable[object]) -> tuple[object, ...]:
    return tuple(values)


@attrs.frozen
class Statement:
    """A SQL text; each ``?`` in it stands for the next of ``values``, which the service binds."""

    text: str
    values: tuple[object, ...] = attrs.field(converter=_values, default=())


def stored(name: str) -> str:
    """The name as it is stored: one of ASCII letters, digits and ``_`` in upper case, any other as it is."""
    return name.upper() if _PLAIN.fullmatch(name) else name


def quote(name: str) -> str:
    """A name as an identifier, whatever characters it has."""
    return '"' + stored(name).replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a literal, where nothing can be bound: in DDL, patterns and file lists. Never for row values."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


NAMES = Names(quote)
#: An object in a schema of the session's database; quoted names in a row.
qualified, columns = NAMES.qualified, NAMES.columns
