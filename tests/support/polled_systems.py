"""One table of orders, shown by systems that have no log: an API, a folder of files.

Tests change ``rows`` and ``columns`` and publish them; how a pipeline file would read them comes along. Databases are
``polled_databases``'s.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

import adapters.sources.files
import adapters.sources.rest
from tests.support.rest_server import Api, Reply, on_page, since

Row = dict[str, Any]


@attrs.define(kw_only=True)
class System(ABC):
    """``columns`` have words of ``adapters.sources.typewords``; told to the pipeline if ``declares``. ``more`` goes
    into the stream's ``read``.
    """

    columns: dict[str, str] = attrs.field(factory=lambda: {"id": "int64", "note": "text", "amount": "double"})
    rows: list[Row] = attrs.field(factory=list)
    key: tuple[str, ...] = ("id",)
    declares: bool = True
    more: dict[str, object] = attrs.field(factory=dict)

    @property
    @abstractmethod
    def module(self) -> ModuleType:
        """The adapter."""

    @property
    @abstractmethod
    def options(self) -> dict[str, object]:
        """The options of the source."""

    @property
    @abstractmethod
    def reading(self) -> dict[str, object]:
        """How this kind of system is read, less columns and key."""

    @property
    def relation(self) -> str:
        """What the stream reads."""
        return "orders"

    @property
    def read(self) -> dict[str, object]:
        """The stream's ``read``."""
        declared: dict[str, object] = {"columns": dict(self.columns)} if self.declares else {}
        return {"key": list(self.key), **declared, **self.reading, **self.more}

    @abstractmethod
    def publish(self) -> None:
        """Show the rows and columns as they are now."""

    @abstractmethod
    def breaking_off(self) -> Any:
        """While it lasts, a reading of more than twenty rows breaks off among them."""

    def put(self, *rows: Row) -> None:
        """Write rows, those that are there in their places, and publish."""
        for row in rows:
            known = [at for at, held in enumerate(self.rows) if self.name(held) == self.name(row)]
            self.rows[known[0] if known else len(self.rows) : known[0] + 1 if known else len(self.rows)] = [row]
        self.publish()

    def remove(self, *numbers: int) -> None:
        """Delete rows by their number, and publish."""
        self.rows[:] = [row for row in self.rows if row["id"] not in numbers]
        self.publish()

    def name(self, row: Row) -> tuple[Any, ...]:
        """The key of a row."""
        return tuple(row[name] for name in self.key)


@attrs.define(kw_only=True)
class ApiSystem(System):
    """Pages of fifteen records; ``since`` leaves out those of an earlier ``touched``."""

    api: Api

    @property
    def module(self) -> ModuleType:
        return adapters.sources.rest

    @property
    def options(self) -> dict[str, object]:
        return {"url": self.api.url, "poll_s": 0.05, "backoff_s": 0.0, "retries": 1, "timeout_s": 5.0}

    @property
    def reading(self) -> dict[str, object]:
        return {"record": "data", "paginate": {"kind": "page"}}

    @property
    def relation(self) -> str:
        return "/orders"

    def publish(self) -> None:
        column = "touched" if "touched" in self.columns else "id"
        served = [{name: row.get(name) for name in self.columns} for row in self.rows]
        self.api.endpoints["/orders"] = since(served, column=column, size=15) if column == "touched" else _pages(served)

    @contextmanager
    def breaking_off(self) -> Iterator[None]:
        self.publish()
        self.api.faults.append(on_page(2, Reply({}, status=500)))
        yield
        self.api.faults.clear()


@attrs.define(kw_only=True)
class FolderSystem(System):
    """One compressed file of JSON lines, put in place by a rename."""

    folder: Path
    _clock: Iterator[int] = attrs.field(factory=lambda: itertools.count())

    @property
    def module(self) -> ModuleType:
        return adapters.sources.files

    @property
    def options(self) -> dict[str, object]:
        return {"url": str(self.folder), "poll_s": 0.05}

    @property
    def reading(self) -> dict[str, object]:
        places = {"file_column": None, "line_column": None}
        return {"path": "*.jsonl.gz", "removed": "delete", "min_age_s": 0.0, **places}

    def publish(self) -> None:
        self._put(self._content())

    @contextmanager
    def breaking_off(self) -> Iterator[None]:
        content = self._content()
        self._put(content[: len(content) // 2])
        yield
        self.publish()

    def _content(self) -> bytes:
        lines = [json.dumps({name: row.get(name) for name in self.columns}) for row in self.rows]
        return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)

    def _put(self, content: bytes) -> None:
        self.folder.mkdir(exist_ok=True)
        file = self.folder / ".new"
        file.write_bytes(content)
        at = time.time() - 3_600 + next(self._clock)
        os.utime(file, (at, at))
        file.rename(self.folder / "orders.jsonl.gz")


def _pages(rows: list[Row], size: int = 15) -> Any:
    return lambda asked: Reply(
        {"data": rows[(int(asked.query.get("page", 1)) - 1) * size : int(asked.query.get("page", 1)) * size]}
    )
