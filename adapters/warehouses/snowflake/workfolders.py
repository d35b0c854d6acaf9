"""Folders on disk that take files on their way to the stage, each locked as long as its process uses it.

A process that dies leaves its folder, but no lock: that tells it from those in use, also where containers share a
volume and know nothing of each other's processes. What is written there is ``uploading``'s.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_PREFIX = "snowflake-"
_LOCK = ".in-use"

#: A folder that was changed less long ago may be one that its process is about to lock.
YOUNG_S = 60.0


class WorkFolder:
    """A folder of its own below ``parent`` (None: the system's temporary folder); made and locked at once."""

    def __init__(self, parent: Path | None) -> None:
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True)
        self._lock = (self.path / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self._folder.name)

    def remove(self) -> None:
        """Remove it with all that is in it; safe to call twice."""
        self._folder.cleanup()
        self._lock.close()


def sweep(parent: Path | None) -> None:
    """Remove the folders of processes that died. What cannot be looked at or removed stays, such as another user's."""
    for folder in (parent or Path(tempfile.gettempdir())).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime >= YOUNG_S:
                _remove_unused(folder)


def _remove_unused(folder: Path) -> None:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)  # a folder that has none is not one of these
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
