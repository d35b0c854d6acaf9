"""What tells that a SQLite file was committed to, read from the files themselves: no lock, no connection.

The change counter of the file's header moves with every commit without a write-ahead log
(https://www.sqlite.org/fileformat.html#file_change_counter); with one, the header of the index beside it does
(https://www.sqlite.org/walformat.html#the_wal_index_file_format).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

_COUNTER = slice(24, 28)
#: The log's header: its checkpoint number and its salts change when the log begins again.
_WAL_HEADER = slice(0, 32)
#: The first of the two equal headers of the index: its change counter, the last frame, and their checksum.
_SHM_HEADER = slice(0, 48)


def file_stamp(path: Path) -> str:
    """A text that changes with every commit."""
    digest = hashlib.sha256()
    for name, part in ((path, _COUNTER), (Path(f"{path}-wal"), _WAL_HEADER), (Path(f"{path}-shm"), _SHM_HEADER)):
        digest.update(_part(name, part))
    return digest.hexdigest()[:32]


def _part(path: Path, part: slice) -> bytes:
    try:
        with path.open("rb") as file:
            stat = path.stat()
            content = file.read(part.stop)[part]
    except FileNotFoundError:
        return b"none;"
    # The index is mapped into memory: when it was written does not show in its time.
    times = "" if path.name.endswith("-shm") else f"{stat.st_size};{stat.st_mtime_ns}"
    return f"{times};{content.hex()};".encode()
