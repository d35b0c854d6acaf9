"""The ``Extractor`` over files: what is listed, how it is laid out, and what is refused.

Files are found by ``store``, told apart by ``manifest`` and read by ``plan``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping

import attrs

from adapters.sources.files import discovery, findings
from adapters.sources.files.blocks import WHOLE_FILE
from adapters.sources.files.columns import Layout, Samples, can_sweep, known_shapes, layout_of, new_shapes
from adapters.sources.files.manifest import Entry, Manifest, Patience, Sorted, in_order, sort_out
from adapters.sources.files.options import ReadOptions, Removed, SourceOptions, read_options
from adapters.sources.files.plan import Plan
from adapters.sources.files.store import FileInfo, Store
from adapters.sources.files.typewords import Shape
from adapters.sources.polling.extractor import Extraction, Kind
from pipeline.domain.errors import ConfigError, SourceRejected
from pipeline.domain.finding import Finding
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import Relation

#: Looks take at most this share of the time.
_LOOK_SHARE = 0.05


@attrs.frozen(eq=False)
class _Seen:
    """A listing with the paths of files that may still be written, and the layout that it gave."""

    files: tuple[FileInfo, ...]
    unfinished: frozenset[str]
    layout: Layout


class FilesExtractor:
    """See ``adapters.sources.polling.extractor.Extractor``."""

    def __init__(self, name: str, options: SourceOptions) -> None:
        self._name = name
        self._options = options
        self._store = Store(name, options)
        self._samples = Samples(self._store)
        self._patience: dict[str, Patience] = {}
        self._decoded: dict[str, Entry] = {}
        self._layouts: dict[str, Layout] = {}
        self._laid: dict[str, tuple[StreamSpec, tuple[FileInfo, ...], Mapping[str, Shape], Layout]] = {}
        self._known: dict[str, Mapping[str, Shape]] = {}
        self._fresh: dict[str, _Seen] = {}
        self._began_s = time.monotonic()
        #: How long the last two looks took: one that reads the beginnings of many new files tells nothing of the next.
        self._looks_s = (0.0, 0.0)

    @property
    def name(self) -> str:
        """The source's name."""
        return self._name

    @property
    def poll_s(self) -> float:
        """As configured, or more rarely where listing and telling files apart take long."""
        return max(self._options.poll_s, min(self._looks_s) / _LOOK_SHARE)

    def discover(self) -> tuple[Relation, ...]:
        """The folders below the URL that hold files of one format."""
        return discovery.discover(self._store, self._samples)

    def inspect(self, stream: StreamSpec) -> tuple[Finding, ...]:
        """What is found of the stream's files, and what is odd."""
        options = read_options(stream)
        files, unfinished = self._listed(stream, options)
        return findings.inspect(stream, options, in_order(files), unfinished=unfinished, samples=self._samples)

    def schema(self, stream: StreamSpec) -> StreamSchema:
        """The columns as the files show them; what was listed for it is what ``extract`` reads next."""
        return self._schema(stream, self._known.get(stream.name, {}))

    def schema_since(self, stream: StreamSpec, bookmarks: Mapping[str, str]) -> StreamSchema:
        """The same, where guessed columns are at least as wide as they were in the looks before."""
        self._began_s = time.monotonic()
        schema = self._schema(stream, known_shapes(bookmarks))
        self._known[stream.name] = self._fresh[stream.name].layout.shapes
        return schema

    def estimate(self, stream: StreamSpec) -> int | None:
        """Sizes tell no rows."""
        return None

    def has_unique_keys(self, stream: StreamSpec) -> bool:
        """A declared key may be in several files."""
        return not read_options(stream).key

    def max_vanished(self, stream: StreamSpec) -> float:
        """The share of files, and of rows of a declared key, that may be gone at once."""
        return read_options(stream).max_vanished

    def extract(
        self, stream: StreamSpec, schema: StreamSchema, bookmarks: Mapping[str, str], *, limit: int | None = None
    ) -> Extraction:
        """New and changed files; or, where deletes are to be found by key and anything changed, all of them."""
        options = read_options(stream)
        known = known_shapes(bookmarks)
        seen = self._seen(stream, options, schema, known)
        manifest = Manifest.of(bookmarks, known=self._decoded)
        found = sort_out(seen.files, manifest, unfinished=seen.unfinished)
        self._refuse_vanished(stream, options, found, manifest, is_empty=not seen.files)
        self._looks_s = (self._looks_s[1], time.monotonic() - self._began_s)
        plan = Plan(self._store, options, found, manifest, seen.layout, told=new_shapes(seen.layout, known))
        if can_sweep(options):
            return plan.sweep()
        if options.is_append and options.refuses_changed:
            self._refuse_changed(stream, found, manifest)
        return Extraction(Kind.CHANGES, plan.changes())

    def mark(self, stream: StreamSpec) -> str | None:
        """A digest of the listing, less files that may still be written."""
        files, unfinished = self._listed(stream, read_options(stream))
        digest = hashlib.sha256()
        for info in files:
            if info.path not in unfinished:
                digest.update(repr((info.path, info.evidence)).encode())
        return digest.hexdigest()

    def close(self) -> None:
        """Forget connections."""
        self._store.close()

    def _where(self, stream: StreamSpec) -> str:
        return f"source {self._name}, stream {stream.name}"

    def _listed(self, stream: StreamSpec, options: ReadOptions) -> tuple[list[FileInfo], set[str]]:
        files = self._store.matching(options.pattern)
        patience = self._patience.setdefault(stream.name, Patience())
        return files, patience.unfinished(files, min_age_s=options.min_age_s, is_local=self._options.is_local)

    def _schema(self, stream: StreamSpec, known: Mapping[str, Shape]) -> StreamSchema:
        options = read_options(stream)
        files, unfinished = self._listed(stream, options)
        self._fresh[stream.name] = self._laid_out(stream, options, files, unfinished, known=known)
        return self._fresh[stream.name].layout.schema

    def _laid_out(
        self,
        stream: StreamSpec,
        options: ReadOptions,
        files: list[FileInfo],
        unfinished: set[str],
        *,
        known: Mapping[str, Shape],
    ) -> _Seen:
        """A file that may still be written shows no columns, unless nothing else does."""
        finished = [info for info in files if info.path not in unfinished]
        sampled = in_order(finished if finished or known else files)
        before = self._laid.get(stream.name)
        if before is not None and before[:3] == (stream, sampled, known):
            layout = before[3]  # an idle folder costs no more than its listing
        else:
            layout = layout_of(options, sampled, self._samples, where=self._where(stream), known=known)
            _refuse_masked_paths(stream, layout, where=self._where(stream))
            self._laid[stream.name] = (stream, sampled, dict(known), layout)
        return _Seen(tuple(files), frozenset(unfinished), layout)

    def _seen(
        self, stream: StreamSpec, options: ReadOptions, schema: StreamSchema, known: Mapping[str, Shape]
    ) -> _Seen:
        """What ``schema`` listed, once; a later reading under the same schema lists anew."""
        fresh = self._fresh.pop(stream.name, None)
        if fresh is not None and fresh.layout.schema is schema:
            self._layouts[stream.name] = fresh.layout
            return fresh
        files, unfinished = self._listed(stream, options)
        layout = self._layouts.get(stream.name)
        if layout is None or layout.schema != schema:
            return self._laid_out(stream, options, files, unfinished, known=known)
        return _Seen(tuple(files), frozenset(unfinished), layout)

    def _refuse_vanished(
        self, stream: StreamSpec, options: ReadOptions, found: Sorted, manifest: Manifest, *, is_empty: bool
    ) -> None:
        """Files that are gone delete rows: more of them than one would believe are taken for a fault."""
        known = len(manifest.entries)
        if options.removed is Removed.KEEP or not found.gone or options.max_vanished >= 1:
            return
        if is_empty or len(found.gone) > options.max_vanished * known:
            raise SourceRejected(
                f"{len(found.gone):,} of {known:,} known files are gone, more than {options.max_vanished:.0%}"
                if not is_empty
                else f"no file is there any more, of {known:,} known",
                where=self._where(stream),
                hint="Nothing was deleted. If they are rightly gone, copy the stream again by resync, or raise its "
                "max_vanished.",
                case="vanished",
                vanished_count=len(found.gone),
                known_count=known,
            )

    def _refuse_changed(self, stream: StreamSpec, found: Sorted, manifest: Manifest) -> None:
        """A file whose rows were appended cannot have others."""
        for info in found.due:
            entry = manifest.entries.get(info.path)
            if entry is not None and entry.evidence != info.evidence and entry.lines.highest > WHOLE_FILE:
                raise SourceRejected(
                    "a file was changed after its rows were appended",
                    where=f"{self._where(stream)}, {info.path}",
                    hint="Write files once, and new ones beside them; or set changed to append: its rows then come "
                    "again.",
                    case="changed",
                )


def _refuse_masked_paths(stream: StreamSpec, layout: Layout, *, where: str) -> None:
    """A path cannot be hidden: the manifest knows files by it, and quarantine tells where a bad row stands."""
    of_paths = [column.name for column in (layout.file, *layout.parts.values()) if column is not None]
    masked = [name for name in of_paths if name in stream.masks]
    if masked:
        raise ConfigError(
            f"{', '.join(masked)} cannot be masked: the paths of files stand in the manifest and in quarantine too",
            where=where,
            hint="Take the mask away, or name files so that their paths tell nothing.",
        )
