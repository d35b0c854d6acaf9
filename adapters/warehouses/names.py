"""The names of a stream's tables and columns in SQL; how a warehouse quotes one is its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from pipeline.domain import naming
from pipeline.domain.loading import Target


@attrs.frozen
class Names:
    """Names by the warehouse's ``quote``, which makes an identifier of one, whatever characters it has."""

    quote: Callable[[str], str]

    def qualified(self, schema: str, name: str) -> str:
        """An object in a schema."""
        return f"{self.quote(schema)}.{self.quote(name)}"

    def staging(self, target: Target) -> str:
        """The staging table's name."""
        return self.qualified(naming.STAGING, target.table)

    def changelog(self, target: Target) -> str:
        """The changelog's name."""
        return self.qualified(naming.CHANGELOG, target.table)

    def quarantine(self, target: Target) -> str:
        """The quarantine table's name."""
        return self.qualified(naming.QUARANTINE, target.table)

    def columns(self, names: Iterable[str], alias: str = "") -> str:
        """Quoted names in a row, each of ``alias`` if given."""
        prefix = f"{alias}." if alias else ""
        return ", ".join(prefix + self.quote(name) for name in names)

    def same_key(self, target: Target, left: str, right: str) -> str:
        """The condition that two aliases have the same key."""
        return " AND ".join(f"{left}.{self.quote(name)} = {right}.{self.quote(name)}" for name in target.schema.key)
