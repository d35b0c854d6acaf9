"""The manifest of a stream's files, kept in its bookmarks: tells new, changed, removed and unfinished files apart.

Listing files is ``store``'s, reading them ``reading``'s.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from enum import Enum

import attrs

from adapters.sources.files.lines import Lines
from adapters.sources.files.store import FileInfo

#: What the bookmarks of files begin with; the path follows.
FILE = "file:"

#: Clocks of file systems tick in steps; what was written within one cannot be told from what was read within it.
_TICK_NS = 20_000_000


class Fate(Enum):
    """What became of a file when it was read last: loaded whole, in part (broken off), or found bad."""

    LOADED = "loaded"
    PARTIAL = "partial"
    BAD = "bad"


@attrs.frozen
class Entry:
    """What is known of a file: how it was listed when it was read, which of its lines became rows, and which of those
    lack a declared key, so that they wait in quarantine under their place.
    """

    evidence: tuple[int, int, str]
    lines: Lines = attrs.field(factory=Lines)
    fate: Fate = Fate.LOADED
    keyless: Lines = attrs.field(factory=Lines)

    def joined(self, before: Entry, fate: Fate) -> Entry:
        """The same file with the lines of an entry ``before`` beside its own."""
        return Entry(self.evidence, before.lines | self.lines, fate, before.keyless | self.keyless)

    def encode(self) -> str:
        """The bookmark's value."""
        size, modified, tag = self.evidence
        content = {
            "size": size,
            "modified": modified,
            "tag": tag,
            "rows": self.lines.count,
            "lines": self.lines.runs,
            "fate": self.fate.value,
            **({"keyless": self.keyless.runs} if self.keyless.runs else {}),
        }
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Entry:
        """The entry that ``encode`` wrote."""
        content = json.loads(text)
        lines, keyless = (Lines([(first, last) for first, last in content.get(k, ())]) for k in ("lines", "keyless"))
        return cls((content["size"], content["modified"], content["tag"]), lines, Fate(content["fate"]), keyless)


@attrs.frozen
class Manifest:
    """The entries of a stream by path."""

    entries: Mapping[str, Entry] = attrs.field(factory=dict)

    @classmethod
    def of(cls, bookmarks: Mapping[str, str], *, known: dict[str, Entry] | None = None) -> Manifest:
        """What the bookmarks tell; ``known`` keeps decoded values from one look to the next."""
        cache = {} if known is None else known
        entries = {}
        for name, value in bookmarks.items():
            if name.startswith(FILE):
                entry = cache.get(value)
                if entry is None:
                    entry = cache[value] = Entry.decode(value)
                entries[name.removeprefix(FILE)] = entry
        return cls(entries)


@attrs.frozen
class Sorted:
    """A listing next to a manifest. ``due`` are new and changed files in order of modification and path; ``gone`` the
    paths of known files that are no longer there; ``unfinished`` those that may still be written, known or not.
    """

    due: tuple[FileInfo, ...]
    gone: tuple[str, ...]
    unfinished: tuple[FileInfo, ...]
    settled: tuple[FileInfo, ...]


def sort_out(listing: Sequence[FileInfo], manifest: Manifest, *, unfinished: Collection[str]) -> Sorted:
    """Tell the files apart. A known file that looks as it did is never unfinished."""
    due, waiting, settled = [], [], []
    for info in listing:
        entry = manifest.entries.get(info.path)
        is_known = entry is not None and entry.evidence == info.evidence
        if not is_known and info.path in unfinished:
            waiting.append(info)
            continue
        settled.append(info)
        if entry is None or not is_known or entry.fate is Fate.PARTIAL:
            due.append(info)
    present = {info.path for info in listing}
    gone = tuple(path for path in manifest.entries if path not in present)
    return Sorted(in_order(due), gone, tuple(waiting), in_order(settled))


def in_order(files: Sequence[FileInfo]) -> tuple[FileInfo, ...]:
    """By time of modification, then path: of a key in several files the last one's row counts."""
    return tuple(sorted(files, key=lambda info: (info.modified, info.path)))


class Patience:
    """Which files are still too young to be read: modified, or first seen so, less than ``min_age_s`` ago.

    The clock of a file system may differ from ours; a file that was watched for long enough is old in any case.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[tuple[int, int, str], float]] = {}

    def unfinished(self, listing: Sequence[FileInfo], *, min_age_s: float, is_local: bool) -> set[str]:
        """The paths of files to leave alone for now."""
        now, wall = time.monotonic(), time.time_ns()
        young_ns = max(int(min_age_s * 1e9), _TICK_NS if is_local else 0)
        before, self._seen = self._seen, {}
        found = set()
        for info in listing:
            evidence, since = before.get(info.path, (None, now))
            if evidence != info.evidence:
                since = now
            is_old = info.modified and wall - info.modified >= young_ns
            if is_old or young_ns == 0 or (now - since) * 1e9 >= young_ns:
                if not is_old:
                    self._seen[info.path] = (info.evidence, since)
                continue
            self._seen[info.path] = (info.evidence, since)
            found.add(info.path)
        return found
