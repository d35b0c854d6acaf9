"""Names of tables and views as people write them: ``orders``, ``sales.orders``, ``"odd.name"``.

Turning them into SQL is the dialects' affair.
"""

from __future__ import annotations

import re

import attrs

from pipeline.domain.errors import ConfigError

_PART = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')


@attrs.frozen(order=True)
class RelationName:
    """A table or view; ``schema`` is "" where the database has only one, or its default is meant."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str, *, schema: str = "") -> RelationName:
        """Read ``table`` or ``schema.table``; a part with a dot or quote in it is in double quotes. Names are taken as
        they are: nothing is folded. Raises ``ConfigError``.
        """
        parts, at = [], 0
        while match := _PART.match(text, at):
            parts.append(match[1].replace('""', '"') if match[1] else match[2])
            at = match.end()
            if at == len(text):
                break
            if text[at] != ".":
                parts = []
                break
            at += 1
        if at != len(text) or len(parts) not in {1, 2} or (text.endswith(".") and not text.endswith('"')):
            raise ConfigError(
                "a relation is written table or schema.table",
                where=f"relation {text}",
                hint="Put a part with a dot in it into double quotes.",
            )
        return cls(parts[0], parts[1]) if len(parts) == 2 else cls(schema, parts[0])

    def shown(self, *, default: str = "") -> str:
        """The name as it is parsed again; without its schema where that is ``default``."""
        parts = [self.name] if self.schema in {"", default} else [self.schema, self.name]
        return ".".join('"' + part.replace('"', '""') + '"' if set(part) & {".", '"'} else part for part in parts)
