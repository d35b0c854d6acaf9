"""Patterns of paths: globs with ``**``, and ``{name}`` for a part of a path that becomes a column.

``orders/year={year}/**/*.csv.gz`` is such a pattern; paths are relative to the source's URL, with ``/`` between.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import attrs

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WILD = re.compile(r"[*?\[{]")


@attrs.frozen
class Pattern:
    """A compiled pattern. ``folder`` is the part before the first wildcard, where listing begins; ``depth`` how many
    folders lie below it at most, None for any number. ``names`` are those of the parts that become columns.
    """

    text: str
    folder: str
    depth: int | None
    names: tuple[str, ...]
    regex: re.Pattern[str] = attrs.field(eq=False, repr=False)

    def parts(self, path: str) -> dict[str, str] | None:
        """The named parts of a path that matches, with ``%`` escapes resolved as Hive writes them; None if none does.

        Files and folders that begin with ``.`` or ``_`` are matched only where the pattern says so itself.
        """
        match = self.regex.fullmatch(path)
        return None if match is None else {name: unquote(value) for name, value in match.groupdict().items()}


def compile_pattern(text: str) -> Pattern:
    """The pattern of ``text``; raises ``ValueError`` with what is wrong."""
    cleaned = text.removeprefix("./")
    segments = cleaned.split("/")
    if cleaned.startswith("/") or ".." in segments or "" in segments:
        raise ValueError("it has to be relative to the source's url, without .. and empty parts")
    names = _PLACE.findall(cleaned)
    if len(set(names)) < len(names):
        raise ValueError("a name in braces is written twice")
    if any("{" in _PLACE.sub("", segment) or "}" in _PLACE.sub("", segment) for segment in segments):
        raise ValueError("braces hold a name of letters, digits and underscores")
    first = next((number for number, segment in enumerate(segments) if _WILD.search(segment)), len(segments) - 1)
    pieces = [_folders() if segment == "**" else _segment(segment) + "/" for segment in segments[:-1]]
    last = segments[-1]
    pieces.append(_folders() + _hidden("") + "[^/]+" if last == "**" else _segment(last))
    try:
        regex = re.compile("".join(pieces))
    except re.error:
        raise ValueError("a set in square brackets is not closed or empty") from None
    depth = None if "**" in segments else len(segments) - 1 - first
    return Pattern(cleaned, "/".join(segments[:first]), depth, tuple(names), regex)


def _folders() -> str:
    return f"(?:{_hidden('')}[^/]+/)*"


def _segment(text: str) -> str:
    """The expression for one part of a path."""
    out, at = _hidden(text), 0
    while at < len(text):
        place = _PLACE.match(text, at)
        if place is not None:
            out += f"(?P<{place[1]}>[^/]+)"
            at = place.end()
            continue
        char = text[at]
        if char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "[" and (end := text.find("]", at + 2)) > 0:
            inner = text[at + 1 : end].replace("\\", r"\\")
            out += f"[^/{inner[1:]}]" if inner[0] == "!" else f"[{inner}]"
            at = end
        else:
            out += re.escape(char)
        at += 1
    return out


def _hidden(text: str) -> str:
    """Names that begin so are marks and half-written files of other programs, unless asked for."""
    return "" if text[:1] in {".", "_"} else r"(?![._])"
