"""Masking of known secrets in text that leaves the process.

Which values are secret is learnt while configuration is resolved; see ``references``.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import attrs

from entrypoints.references import Secrets

MASK = "***"

#: Shorter secrets are masked only where they stand alone: a password ``a`` must not blank out every letter a.
_STANDALONE_LENGTH = 6


@attrs.define
class Redactor:
    """Replaces every secret in a text by ``***``, in its plain, URL-quoted and JSON-escaped forms."""

    secrets: Secrets = attrs.field(factory=Secrets)
    _known: frozenset[str] = attrs.field(init=False, default=frozenset(), repr=False)
    _pattern: re.Pattern[str] | None = attrs.field(init=False, default=None, repr=False)

    def mask(self, text: str) -> str:
        """``text`` without any known secret."""
        if len(self._known) != len(self.secrets.values):
            self._known = frozenset(self.secrets.values)
            self._pattern = _pattern(self._known)
        return self._pattern.sub(MASK, text) if self._pattern else text


def _pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])}
    # The longest first, so that a connection string is masked as a whole before the password in it.
    parts = [_part(form) for form in sorted(forms, key=lambda form: (-len(form), form))]
    return re.compile("|".join(parts)) if parts else None


def _part(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _STANDALONE_LENGTH else rf"(?<!\w){escaped}(?!\w)"
