"""Listings next to manifests, and files that are too young to be read."""

from __future__ import annotations

import time

import numpy as np

from adapters.sources.files.lines import Lines
from adapters.sources.files.manifest import FILE, Entry, Fate, Manifest, Patience, sort_out
from adapters.sources.files.store import FileInfo


def info(path: str, *, size: int = 10, modified: int = 1, tag: str = "") -> FileInfo:
    return FileInfo(path, size, modified, tag)


def entry(file: FileInfo, fate: Fate = Fate.LOADED) -> Entry:
    return Entry(file.evidence, Lines.of(np.arange(2, 5)), fate)


def test_an_entry_is_read_back_as_it_was_written() -> None:
    for fate in Fate:
        known = entry(info("a", tag="x"), fate)
        assert Entry.decode(known.encode()) == known


def test_a_manifest_is_what_bookmarks_of_files_tell() -> None:
    known = entry(info("a/b.csv"))
    assert Manifest.of({f"{FILE}a/b.csv": known.encode(), "column:id": "0 int"}) == Manifest({"a/b.csv": known})


def test_files_are_told_apart() -> None:
    same, newer, partly, bad, gone = (info(name, modified=3) for name in ("same", "newer", "partly", "bad", "gone"))
    manifest = Manifest(
        {
            "same": entry(same),
            "newer": entry(newer),
            "partly": entry(partly, Fate.PARTIAL),
            "bad": entry(bad, Fate.BAD),
            "gone": entry(gone),
            "written": entry(info("written")),
        }
    )
    changed = info("newer", modified=2, tag="other")
    writing = info("written", size=99)
    new = info("new", modified=2)
    found = sort_out([bad, new, changed, partly, same, writing], manifest, unfinished={"written", "same"})
    assert found.due == (new, changed, partly), "in order of modification, then path"
    assert found.gone == ("gone",)
    assert found.unfinished == (writing,)
    assert set(found.settled) == {bad, new, changed, partly, same}


def test_a_file_is_young_until_its_age_or_until_it_was_watched_for_as_long() -> None:
    patience = Patience()
    now = time.time_ns()
    old, young = info("old", modified=now - 10**10), info("young", modified=now)
    ahead, undated = info("ahead", modified=now + 10**12), info("undated", modified=0)
    files = [old, young, ahead, undated]
    assert patience.unfinished(files, min_age_s=5, is_local=True) == {"young", "ahead", "undated"}
    assert patience.unfinished(files, min_age_s=0, is_local=False) == set()
    watched = Patience()
    watched.unfinished([ahead, undated], min_age_s=0.05, is_local=True)
    while watched.unfinished([ahead, undated], min_age_s=0.05, is_local=True):
        assert time.time_ns() - now < 30 * 10**9
    assert watched.unfinished([info("ahead", size=11, modified=ahead.modified)], min_age_s=5, is_local=True) == {
        "ahead"
    }
