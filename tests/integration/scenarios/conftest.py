"""A world per scenario over a real PostgreSQL, against every warehouse."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from entrypoints.demo.server import EmbeddedPostgres
from tests.support.emulator import Emulator
from tests.support.polled_databases import PostgresSystem, SqliteSystem
from tests.support.polled_systems import ApiSystem, FolderSystem, System
from tests.support.polled_world import PolledWorld
from tests.support.rest_server import serving
from tests.support.sql_world import SqliteOrigin, postgres_origin
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


@pytest.fixture(params=["sqlite", "postgresql", "rest", "files"])
def system(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[System]:
    """A system without a log, of each kind."""
    match request.param:
        case "sqlite":
            yield SqliteSystem(origin=SqliteOrigin(tmp_path / "shop.db"))
        case "postgresql":
            server = request.getfixturevalue("scenario_server")
            with postgres_origin(server, f"it_{uuid.uuid4().hex[:8]}") as origin:
                yield PostgresSystem(origin=origin)
        case "rest":
            with serving() as api:
                yield ApiSystem(api=api)
        case _:
            yield FolderSystem(folder=tmp_path / "drop")


@pytest.fixture(params=["duckdb", "snowflake"])
def warehouse_kind(request: pytest.FixtureRequest) -> str:
    """Each kind of warehouse."""
    kind: str = request.param
    return kind


@pytest.fixture
def emulator_if_any(warehouse_kind: str, request: pytest.FixtureRequest) -> Emulator | None:
    """The emulator where the warehouse is Snowflake."""
    return request.getfixturevalue("emulator") if warehouse_kind == "snowflake" else None


@pytest.fixture
def polled(
    system: System, warehouse_kind: str, emulator_if_any: Emulator | None, tmp_path: Path
) -> Iterator[PolledWorld]:
    """A pipeline from a system of each kind into a warehouse of each kind."""
    world = PolledWorld(system, tmp_path, warehouse_kind, emulator_if_any)
    yield world
    world.close()
