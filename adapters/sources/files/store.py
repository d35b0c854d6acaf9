"""Lists and opens the files below a URL: local ones by the operating system, all others by fsspec.

Which of them are to be read is ``manifest``'s to tell. Errors of a file system become those of the product here.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from adapters.sources.files.guarded import GuardedFile
from adapters.sources.files.options import SourceOptions
from adapters.sources.files.patterns import Pattern
from pipeline.domain.errors import ConfigError, Missing, PipelineError, SourceRejected, SourceUnreachable

_EXTRAS = {"s3": "s3"}
_MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "versionId")
#: Errors of the libraries behind fsspec that are somebody's to mend, by class name: the libraries are optional.
_REJECTIONS = frozenset({"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "ParamValidationError"})
#: What is not on this machine and no larger than this is read by one request.
_SMALL_BYTES = 8 * 1024 * 1024
#: A folder that is linked below itself ends here.
_DEEPEST = 64


@attrs.frozen
class FileInfo:
    """One file as listed. ``path`` is relative to the source's URL; ``modified`` nanoseconds since 1970, 0 where the
    file system keeps none; ``tag`` what else tells one content from another: an ETag, or the number of a local file.
    """

    path: str
    size: int
    modified: int
    tag: str = ""

    @property
    def evidence(self) -> tuple[int, int, str]:
        """What differs once the file has another content, as far as a listing tells."""
        return self.size, self.modified, self.tag


class Vanished(Exception):
    """The file is no longer there."""


class Store:
    """The files below a source's URL. Built without connecting."""

    def __init__(self, name: str, options: SourceOptions) -> None:
        self._where = f"source {name}"
        self._options = options
        self._filesystem: Any = None
        self._root = options.url.removeprefix("file://").rstrip("/") or "/"

    def matching(self, pattern: Pattern) -> list[FileInfo]:
        """The files that match, in order of path. Raises ``SourceRejected`` where the folder of the URL is not there;
        one below it may be.
        """
        is_local = self._options.is_local
        found = self._local(pattern.folder, pattern.depth) if is_local else self._remote(pattern.folder)
        return sorted((info for info in found if pattern.regex.fullmatch(info.path)), key=lambda info: info.path)

    def all(self) -> list[FileInfo]:
        """Every file below the URL, in order of path."""
        found = self._local("", None) if self._options.is_local else self._remote("")
        return sorted(found, key=lambda info: info.path)

    def is_as_listed(self, info: FileInfo) -> bool:
        """Whether the file that was read is still the one that was listed. One that was read by a single request is of
        one piece: if it is a later one, the next listing shows it.
        """
        if self._is_small(info):
            return True
        now = self._state(info)
        return now is not None and now.evidence == info.evidence

    def _state(self, info: FileInfo) -> FileInfo | None:
        with self._translated(info.path):
            try:
                if self._options.is_local:
                    return _of_status(info.path, Path(self._root, info.path).stat())
                self._filesystem.invalidate_cache()
                return _of_details(info.path, self._filesystem.info(f"{self._root}/{info.path}"))
            except FileNotFoundError:
                return None

    @contextmanager
    def open(self, info: FileInfo) -> Iterator[GuardedFile]:
        """The file's bytes, from the beginning. Raises ``Vanished``."""
        path = info.path
        with self._translated(path):
            try:
                if self._options.is_local:
                    raw: Any = Path(self._root, path).open("rb")  # noqa: SIM115 - closed below
                elif self._is_small(info):
                    raw = io.BytesIO(self._remote_filesystem().cat_file(f"{self._root}/{path}"))
                else:
                    raw = self._remote_filesystem().open(f"{self._root}/{path}", "rb")
            except FileNotFoundError:
                raise Vanished(path) from None
        with raw:
            yield GuardedFile(raw, lambda error: self._error(error, path))

    def close(self) -> None:
        """Forget the connection; fsspec closes it with the object."""
        self._filesystem = None

    def _local(self, folder: str, depth: int | None) -> Iterator[FileInfo]:
        root = Path(self._root)
        with self._translated(folder):
            if not root.is_dir():
                raise SourceRejected(
                    "there is no such folder",
                    where=f"{self._where}, {root}",
                    hint="Create or mount it, or correct url.",
                )
            yield from _walk(str(root / folder), f"{folder}/" if folder else "", _DEEPEST if depth is None else depth)

    def _remote(self, folder: str) -> Iterator[FileInfo]:
        with self._translated(folder):
            filesystem = self._remote_filesystem()
            filesystem.invalidate_cache()
            try:
                found = filesystem.find(f"{self._root}/{folder}".rstrip("/"), detail=True)
            except FileNotFoundError:
                found = {}
            if not found:
                self._refuse_missing(filesystem)
        for full, details in found.items():
            if details.get("type", "file") == "file":
                path = str(full).lstrip("/").removeprefix(self._root.lstrip("/")).lstrip("/")
                if path:
                    yield _of_details(path, details)

    def _refuse_missing(self, filesystem: Any) -> None:
        """An empty listing may be that of a bucket that is not there; a folder in a bucket is only a part of names."""
        bucket = self._root.split("/")[0] or self._root
        if not filesystem.exists(bucket):
            raise SourceRejected(
                "there is no such bucket or folder",
                where=f"{self._where}, {self._options.url.partition('?')[0]}",
                hint="Create it, or correct url.",
            )

    def _remote_filesystem(self) -> Any:
        if self._filesystem is None:
            import fsspec

            try:
                self._filesystem, root = fsspec.core.url_to_fs(
                    self._options.url,
                    **{"use_listings_cache": False, "skip_instance_cache": True},
                    **self._options.storage,
                )
            except ImportError:
                protocol = self._options.url.partition("://")[0]
                extra = _EXTRAS.get(protocol)
                raise Missing(
                    f"the driver for {protocol}:// is not installed",
                    where=self._where,
                    hint=f"Install realtime-data-pipeline[{extra}]." if extra else "Install its fsspec package.",
                ) from None
            except (ValueError, TypeError):
                raise ConfigError(
                    "fsspec does not take this url with these options", where=self._where, hint="Correct them."
                ) from None
            self._root = str(root).rstrip("/")
        return self._filesystem

    def _is_small(self, info: FileInfo) -> bool:
        return not self._options.is_local and info.size <= _SMALL_BYTES

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        try:
            yield
        except (PipelineError, Vanished):
            raise
        except Exception as error:  # libraries behind fsspec raise what they like
            raise self._error(error, path) from None

    def _error(self, error: Exception, path: str) -> PipelineError:
        """The product's error for one of a file system; of its text nothing is shown."""
        where = f"{self._where}, {path or 'its folder'}"
        kind = type(error).__name__
        if isinstance(error, PermissionError) or kind in _REJECTIONS:
            return SourceRejected(
                f"access was denied ({kind})",
                where=where,
                hint="Grant reading and listing, or correct the credentials.",
            )
        return SourceUnreachable(f"reading failed ({kind})", where=where, hint="It is tried again.", error=kind)


def _walk(folder: str, prefix: str, depth: int) -> Iterator[FileInfo]:
    folders = []
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            try:
                if entry.is_dir():
                    folders.append(entry.name)
                elif entry.is_file():
                    yield _of_status(prefix + entry.name, entry.stat())
            except FileNotFoundError:  # gone since the folder was read
                continue
    if depth:
        for name in folders:
            yield from _walk(f"{folder}/{name}", f"{prefix}{name}/", depth - 1)


def _of_status(path: str, status: os.stat_result) -> FileInfo:
    return FileInfo(path, status.st_size, status.st_mtime_ns, str(status.st_ino))


def _of_details(path: str, details: dict[str, Any]) -> FileInfo:
    modified = next((details[key] for key in _MODIFIED if details.get(key) is not None), None)
    tag = next((str(details[key]) for key in _TAGS if details.get(key) is not None), "")
    return FileInfo(path, int(details.get("size") or 0), _nanoseconds(modified), tag.strip('"'))


def _nanoseconds(modified: object) -> int:
    if isinstance(modified, datetime):
        return int(modified.timestamp() * 1_000_000) * 1_000
    if isinstance(modified, int | float):
        return int(modified * 1_000_000) * 1_000
    if isinstance(modified, str):
        try:
            return _nanoseconds(datetime.fromisoformat(modified))
        except ValueError:
            return 0
    return 0
