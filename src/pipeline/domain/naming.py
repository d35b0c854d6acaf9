"""Names of columns and tables in the warehouse, by one rule that holds on every warehouse.

Quoting is each dialect's own function; this module only decides which names to use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Prefix of every metadata column; no data column of a warehouse table starts with it.
METADATA_PREFIX = "_cdc_"

STAGING = "staging"
CHANGELOG = "changelog"
QUARANTINE = "quarantine"
PIPELINE = "pipeline"

#: The schemas that the pipeline owns in a warehouse.
SCHEMAS = (STAGING, CHANGELOG, QUARANTINE, PIPELINE)

_UNSAFE = re.compile(r"[^0-9A-Za-z_]+")


def table_name(source: str, stream: str) -> str:
    """The table of a stream in each of the schemas: ``<source>__<stream>`` in lower case.

    Characters other than letters, digits and ``_`` become ``_``.
    """
    return f"{_plain(source)}__{_plain(stream)}"


def column_names(source_names: Iterable[str]) -> dict[str, str]:
    """The warehouse name of each source column, in order and deterministic.

    A name is kept as it is, unless it differs from an earlier one only by case, or starts with the metadata prefix:
    then the first free suffix of ``_2``, ``_3``, ... is added (before it, ``_cdc_`` becomes ``cdc_``), so that
    warehouses that fold case can hold the columns side by side.
    """
    taken: set[str] = set()
    names: dict[str, str] = {}
    for source_name in source_names:
        name = source_name[1:] if source_name.lower().startswith(METADATA_PREFIX) else source_name
        candidate, number = name, 2
        while candidate.casefold() in taken:
            candidate, number = f"{name}_{number}", number + 1
        taken.add(candidate.casefold())
        names[source_name] = candidate
    return names


def _plain(name: str) -> str:
    return _UNSAFE.sub("_", name).lower()
