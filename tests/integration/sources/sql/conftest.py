"""SQLite files and databases of a real PostgreSQL, each with a warehouse of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrypoints.demo.server import EmbeddedPostgres
from tests.support.sql_world import SqliteOrigin, SqlWorld, postgres_origin


@pytest.fixture(scope="session")
def sql_server() -> Iterator[EmbeddedPostgres]:
    """One server for all of them."""
    with EmbeddedPostgres() as server:
        yield server


@pytest.fixture
def sqlite_world(tmp_path: Path) -> Iterator[SqlWorld]:
    """An empty file."""
    world = SqlWorld(SqliteOrigin(tmp_path / "shop.db"), tmp_path)
    yield world
    world.close()


@pytest.fixture
def postgres_world(sql_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[SqlWorld]:
    """An empty database."""
    with postgres_origin(sql_server, f"sql_{uuid.uuid4().hex[:8]}") as origin:
        world = SqlWorld(origin, tmp_path)
        yield world
        world.close()


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest) -> SqlWorld:
    """Each of them."""
    chosen: SqlWorld = request.getfixturevalue(f"{request.param}_world")
    return chosen
