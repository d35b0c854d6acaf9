"""References to secrets in configuration: ``${NAME}`` for an environment variable, ``${file:/run/secrets/x}`` for a
file, and a refusal of secrets that are written out.

Which keys may hold references is decided by who reads the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

import attrs

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE = "file:"

_SECRET_KEY = re.compile(r"(^|[_.])(password|passwd|secret|token|private_key|passphrase|api_key)$")
_KEYWORD_PASSWORD = re.compile(r"\b(?:password|sslpassword)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s'&]+)")
_URI_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/@:\s]*:([^@\s]*)@", re.IGNORECASE)


class Unresolved(Exception):
    """A reference that names nothing; ``name`` is the variable or file."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(what)
        self.name = name
        self.what = what


@attrs.define
class Secrets:
    """The secret values that were met while resolving, for masking them wherever text goes out."""

    values: set[str] = attrs.field(factory=set, repr=False)

    def add(self, text: str) -> None:
        """Remember ``text``, if there is any."""
        if text:
            self.values.add(text)


def has_reference(text: str) -> bool:
    """Whether ``text`` holds at least one ``${...}``."""
    return _REFERENCE.search(text) is not None


def resolve(key: str, text: str, *, environment: Mapping[str, str], secrets: Secrets) -> str:
    """``text``, found under ``key``, with each reference replaced; raises ``Unresolved`` for one that names nothing.

    What is secret in the result (all of it under a key such as ``password``, else the passwords of connection
    strings) is added to ``secrets``.
    """
    resolved = _REFERENCE.sub(lambda match: _value(match[1], environment), text)
    for secret in [resolved] if _SECRET_KEY.search(key) else _passwords(resolved):
        secrets.add(secret)
    return resolved


def written_secret(key: str, text: str) -> bool:
    """Whether ``text``, found under ``key``, holds a secret that is written out instead of referred to."""
    if _SECRET_KEY.search(key):
        return bool(text) and not _REFERENCE.fullmatch(text)
    return any(not has_reference(password) for password in _passwords(text))


def _value(name: str, environment: Mapping[str, str]) -> str:
    if name.startswith(_FILE):
        path = Path(name.removeprefix(_FILE))
        try:
            return path.read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            raise Unresolved(name, f"the file {path} cannot be read: {error.strerror}") from error
    if not _NAME.fullmatch(name):
        raise Unresolved(name, f"${{{name}}} is not a reference; write ${{NAME}} or ${{file:/path}}")
    if not environment.get(name):
        raise Unresolved(name, f"the environment variable {name} is not set")
    return environment[name]


def _passwords(text: str) -> list[str]:
    """The passwords that a connection string holds, as written and decoded."""
    found = _URI_PASSWORD.findall(text) + [match.strip("'") for match in _KEYWORD_PASSWORD.findall(text)]
    return [form for password in found if password for form in sorted({password, unquote(password)})]
