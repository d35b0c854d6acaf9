"""Which streams the files below a URL could be: those of one folder and one format are one.

Folders named ``key=value`` are parts of one stream, and their keys its columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from adapters.sources.files.columns import Samples, layout_of
from adapters.sources.files.manifest import in_order
from adapters.sources.files.options import read_options, suffixed
from adapters.sources.files.patterns import compile_pattern
from adapters.sources.files.store import FileInfo, Store
from pipeline.domain.errors import SourceRejected
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import Relation

_PART = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=[^/]*")
_SAMPLED = 20


def discover(store: Store, samples: Samples) -> tuple[Relation, ...]:
    """Every group of files as a relation whose name is the pattern that finds them; files of no known format too,
    with the reason why they cannot be read.
    """
    groups: dict[str, list[FileInfo]] = {}
    for info in store.all():
        pattern = pattern_of(info.path)
        if pattern is not None:
            groups.setdefault(pattern, []).append(info)
    return tuple(_relation(pattern, files, samples) for pattern, files in sorted(groups.items()))


def pattern_of(path: str) -> str | None:
    """The pattern of the group that a file belongs to, None for one that no pattern matches: a hidden one."""
    *folders, name = path.split("/")
    if any(part[:1] in {".", "_"} for part in (*folders, name)):
        return None
    shown = [_PART.sub(lambda match: f"{match[1]}={{{match[1]}}}", folder) for folder in folders]
    dot = name.find(".", 1)
    # Of ``a.2026.csv.gz`` the suffixes that tell format and compression count.
    suffix = next((name[at:] for at in _dots(name, dot) if _is_whole_suffix(name[at:])), name[name.rfind(".") :])
    pattern = "/".join([*shown, f"*{suffix}" if dot > 0 else "*"])
    try:
        return pattern if compile_pattern(pattern).parts(path) is not None else None
    except ValueError:
        return None


def _dots(name: str, first: int) -> Iterable[int]:
    return (at for at in range(max(first, 0), len(name)) if name[at] == ".")


def _is_whole_suffix(suffix: str) -> bool:
    kind, compression = suffixed(f"x{suffix}")
    return kind is not None and suffix.count(".") == (2 if compression else 1)


def _relation(pattern: str, files: list[FileInfo], samples: Samples) -> Relation:
    size = sum(info.size for info in files)
    kind = suffixed(pattern)[0]
    if kind is None:
        return Relation(pattern, "files", StreamSchema(()), byte_count=size, reason="files of no known format")
    options = read_options(StreamSpec(name=pattern, relation=pattern, source=""))
    options = attrs.evolve(options, sample_files=_SAMPLED)
    try:
        layout = layout_of(options, in_order(files), samples, where="")
    except SourceRejected as error:
        return Relation(pattern, f"{kind} files", StreamSchema(()), byte_count=size, reason=error.what)
    if not layout.shapes:
        reason = "no file of it can be read"
        return Relation(pattern, f"{kind} files", StreamSchema(()), byte_count=size, reason=reason)
    return Relation(pattern, f"{kind} files", layout.schema, byte_count=size)
