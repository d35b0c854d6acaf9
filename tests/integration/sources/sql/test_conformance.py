"""Every way of reading a SQL database keeps what sources without a log owe."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import adapters.sources.sql
from adapters.sources.polling.detection import PollDetector
from adapters.sources.polling.source import PollSource
from adapters.sources.sql import postgresql_view, sqlite_view
from entrypoints.demo.server import EmbeddedPostgres
from pipeline.domain.change import Operation
from pipeline.domain.stream import StreamSpec
from tests.conformance.polled import MisfitsHarness, PolledDeletesConformance, PolledMisfitsConformance
from tests.conformance.source import Change
from tests.support.sql_world import Origin, PostgresOrigin, SqliteOrigin, postgres_origin

TABLE = "CREATE TABLE orders (id integer PRIMARY KEY, note text, touched timestamp, size numeric)"

#: Reading fails at the rows behind the first twenty while there is a row in ``faults``.
QUERIES = {
    "sqlite": """SELECT id, note, touched, size FROM orders WHERE
        CASE WHEN id > 20 AND EXISTS (SELECT 1 FROM faults) THEN abs(-9223372036854775807 - 1) ELSE 1 END""",
    "postgres": """SELECT id, note, touched, size FROM orders WHERE
        1 / (CASE WHEN id > 20 AND EXISTS (SELECT 1 FROM faults) THEN 0 ELSE 1 END) = 1""",
}

DELETES = {
    "hash": {},
    "cursor and keys": {"cursor": "touched", "deletes": "diff"},
    "two cursors and keys": {"cursor": ["touched", "id"], "deletes": "diff", "overlap": 0},
}
OTHERS = {
    "cursor": {"cursor": "touched"},
    "cursor without overlap": {"cursor": "touched", "overlap": 0},
}


class SqlHarness(MisfitsHarness):
    #: Read the table itself, as most people do.
    is_plain = False

    def __init__(self, origin: Origin, kind: str, read: Mapping[str, object]) -> None:
        self._origin = origin
        self._kind = kind
        self._read = {"query": QUERIES[kind], "key": "id", "max_vanished": 0.75, **read}
        self._at = datetime(2026, 1, 1)
        self._is_there = True
        self.has_marks = kind == "sqlite"  # type: ignore[misc] # PostgreSQL counts what happens to tables
        origin.sql(TABLE, "CREATE TABLE faults (id integer)")

    @property
    def specs(self) -> dict[str, StreamSpec]:
        left_out = {"query", "key"} if self.is_plain else set()
        read = {key: value for key, value in self._read.items() if key not in left_out}
        return {"orders": StreamSpec("orders", "orders", "shop", read=read)}

    @property
    def columns(self) -> tuple[str, ...]:
        return ("id", "note", "touched", "size")

    @property
    def options(self) -> dict[str, object]:
        if self._is_there or self._kind == "sqlite":
            return {"url": self._origin.url, "poll_s": 0.05}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return {"url": f"postgresql://nobody@127.0.0.1:{free.getsockname()[1]}/none"}

    def source(self) -> PollSource:
        return adapters.sources.sql.build("shop", self.options)

    def detector(self) -> PollDetector:
        return adapters.sources.sql.build_detector("shop", self.options)

    def commit(self, *changes: Change) -> None:
        statements = []
        for _, operation, row in changes:
            self._at += timedelta(seconds=1)
            statements.append(f"DELETE FROM orders WHERE id = {row['id']}")
            if operation is not Operation.DELETE:
                statements.append(f"INSERT INTO orders VALUES ({row['id']}, '{row['note']}', '{self._at}', NULL)")
        self._origin.sql(*statements)

    def spoil(self, number: int) -> tuple[str, str]:
        self.commit(("orders", Operation.UPDATE, {"id": number, "note": "odd"}))
        self._origin.sql(f"UPDATE orders SET size = 'NaN' WHERE id = {number}")  # SQLite keeps the text
        return "size", "NaN"

    def rows(self, stream: str) -> dict[int, dict[str, Any]]:
        found = self._origin.rows("SELECT id, note, touched FROM orders WHERE size IS NULL")
        return {
            number: {"id": number, "note": note, "touched": datetime.fromisoformat(str(touched)), "size": None}
            for number, note, touched in found
        }

    @contextmanager
    def failing_half_way(self) -> Iterator[None]:
        self._origin.sql("INSERT INTO faults VALUES (1)")
        yield
        self._origin.sql("DELETE FROM faults")

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        self._is_there = False
        moved = [
            (Path(f"{path}{end}"), Path(f"{path}.gone{end}")) for path in self._files for end in ("", "-wal", "-shm")
        ]
        moved = [(here, there) for here, there in moved if here.exists()]
        for here, there in moved:
            here.rename(there)
        yield
        for here, there in moved:
            there.rename(here)
        self._is_there = True

    @property
    def _files(self) -> list[Path]:
        return [self._origin.path] if isinstance(self._origin, SqliteOrigin) else []


@pytest.fixture(params=["sqlite", "postgres"])
def origin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, SqliteOrigin | PostgresOrigin]]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield "sqlite", SqliteOrigin(tmp_path / "shop.db")
        return
    server: EmbeddedPostgres = request.getfixturevalue("sql_server")
    with postgres_origin(server, f"conform_{uuid.uuid4().hex[:8]}") as made:
        yield "postgres", made


@pytest.fixture(autouse=True)
def _a_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (postgresql_view, sqlite_view):
        monkeypatch.setattr(module, "PIECE_BYTES", 200)


class OverTables(PolledMisfitsConformance):
    """What is about names of tables, asked of tables."""

    @pytest.fixture(autouse=True)
    def _plain(self, harness: SqlHarness, request: pytest.FixtureRequest) -> None:
        harness.is_plain = any(word in request.node.name for word in ("discovery", "does_not_exist"))


class TestDeletes(OverTables, PolledDeletesConformance):
    @pytest.fixture(params=DELETES.values(), ids=DELETES)
    def harness(self, origin: tuple[str, Origin], request: pytest.FixtureRequest) -> MisfitsHarness:
        return SqlHarness(origin[1], origin[0], request.param)


class TestCursors(OverTables):
    @pytest.fixture(params=OTHERS.values(), ids=OTHERS)
    def harness(self, origin: tuple[str, Origin], request: pytest.FixtureRequest) -> MisfitsHarness:
        return SqlHarness(origin[1], origin[0], request.param)


class TestRefreshes(OverTables):
    @pytest.fixture
    def harness(self, origin: tuple[str, Origin]) -> MisfitsHarness:
        return SqlHarness(origin[1], origin[0], {"detect": "refresh"})

    def test_wherever_a_run_dies_the_next_one_ends_with_the_same_rows(
        self, harness: MisfitsHarness, source: Any
    ) -> None:
        """All rows are one batch: there is nowhere to die in it."""
        follower = self.filled(harness, source)
        assert not self.die_after(harness, follower.copied(), 0)
        assert self.die_after(harness, follower, 1)
        assert follower.rows["orders"] == harness.rows("orders")
