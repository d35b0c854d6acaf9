"""A world per scenario over a real PostgreSQL, against every warehouse."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from entrypoints.demo.server import EmbeddedPostgres
from tests.support.world import World, create_database


@pytest.fixture(scope="session")
def scenario_server() -> Iterator[EmbeddedPostgres]:
    """One server for all scenarios."""
    with EmbeddedPostgres() as server:
        yield server


@pytest.fixture
def make_world(
    scenario_server: EmbeddedPostgres, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], World]]:
    """Makes worlds that are closed at the end."""
    worlds: list[World] = []

    def make(kind: str) -> World:
        database = f"it_{uuid.uuid4().hex[:8]}"
        create_database(scenario_server, database)
        folder = tmp_path / database
        folder.mkdir()
        emulator = request.getfixturevalue("emulator") if kind == "snowflake" else None
        worlds.append(World(scenario_server, database, folder, kind=kind, emulator=emulator))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture(params=["memory", "duckdb", "snowflake"])
def world(make_world: Callable[[str], World], request: pytest.FixtureRequest) -> World:
    """A fresh database and warehouse."""
    return make_world(request.param)


@pytest.fixture
def duckdb_world(make_world: Callable[[str], World]) -> World:
    """A fresh database and a DuckDB warehouse."""
    return make_world("duckdb")
