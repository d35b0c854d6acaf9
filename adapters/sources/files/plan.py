"""What one look reads of the files that were told apart, in which order, and what those that are gone mean.

Reading one file is ``reading``'s.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

import attrs

from adapters.sources.files.columns import Layout
from adapters.sources.files.manifest import FILE, Entry, Fate, Manifest, Sorted
from adapters.sources.files.options import ReadOptions, Removed
from adapters.sources.files.reading import forget_file, is_readable, read_file
from adapters.sources.files.store import FileInfo, Store
from adapters.sources.polling.extractor import Extraction, Kind, Rows
from pipeline.domain.errors import SourceUnreachable


@attrs.frozen(eq=False)
class Plan:
    """What one extraction reads; ``told`` are bookmarks of columns that are new."""

    store: Store
    options: ReadOptions
    found: Sorted
    manifest: Manifest
    layout: Layout
    told: Mapping[str, str | None]

    def changes(self) -> Iterator[Rows]:
        """The rows of new and changed files, then the deletion of lines of those that are gone."""
        yield from self._read(self.found.due)
        deletes = self.options.removed is Removed.DELETE
        if deletes or self.options.key:
            yield from self._forget(deletes=deletes and self.options.has_line_key)
        # Of other files that are gone it stays known what was loaded of them, in case that they come back.

    def sweep(self) -> Extraction:
        """All rows if anything changed, to find by their keys those that are gone.

        Nothing while a known file is being written. While a file cannot be read its rows are not taken for gone: then
        only what changed is loaded.
        """
        if any(info.path in self.manifest.entries for info in self.found.unfinished):
            return Extraction(Kind.CHANGES, iter(()), remembers=True)
        if not (self.found.due or self.found.gone):
            return Extraction(Kind.CHANGES, iter(()), remembers=True)
        due = {info.path for info in self.found.due}
        entries = self.manifest.entries
        bad = any(info.path not in due and entries[info.path].fate is Fate.BAD for info in self.found.settled)
        if bad or not all(is_readable(self.store, info, self.options, self.layout) for info in self.found.due):
            return Extraction(Kind.CHANGES, self._read(self.found.due), remembers=True)
        later: dict[str, str | None] = {}
        return Extraction(Kind.IMAGE, self._image(later), compared=later)

    def _image(self, later: dict[str, str | None]) -> Iterator[Rows]:
        """All rows. The entries of their files go to ``later``: they are due until what is gone was deleted."""
        for rows in itertools.chain(self._read(self.found.settled), self._forget(deletes=False)):
            told = [text for name, text in rows.bookmarks.items() if name.startswith(FILE)]
            if any(text is not None and Entry.decode(text).fate is Fate.BAD for text in told):
                raise SourceUnreachable(
                    "a file was changed while all were read; nothing was taken for gone", hint="It is tried again."
                )
            later.update(rows.bookmarks)
            yield attrs.evolve(rows, bookmarks={})

    def _read(self, files: Iterable[FileInfo]) -> Iterator[Rows]:
        for info in files:
            entry = self.manifest.entries.get(info.path)
            yield from read_file(self.store, info, self.options, self.layout, entry=entry)
        if self.told:
            yield Rows(self.layout.schema.arrow().empty_table(), bookmarks=self.told)

    def _forget(self, *, deletes: bool) -> Iterator[Rows]:
        for path in self.found.gone:
            closes = self.options.removed is Removed.DELETE
            yield from forget_file(path, self.manifest.entries[path], self.layout, deletes=deletes, closes=closes)
