"""A world per scenario: a database of its own on a real PostgreSQL, and the warehouse to run against."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrypoints.demo.server import EmbeddedPostgres
from tests.support.world import World, create_database


@pytest.fixture(scope="session")
def source_server() -> Iterator[EmbeddedPostgres]:
    """One server for all scenarios."""
    with EmbeddedPostgres() as server:
        yield server


@pytest.fixture(params=["memory", "duckdb", "snowflake"], autouse=True)
def warehouse_kind(request: pytest.FixtureRequest) -> str:
    """The warehouse to run against; used by every scenario, since steps ask for the world too late to multiply it."""
    return str(request.param)


@pytest.fixture
def world(
    source_server: EmbeddedPostgres, tmp_path: Path, warehouse_kind: str, request: pytest.FixtureRequest
) -> Iterator[World]:
    """A fresh database and warehouse."""
    database = f"shop_{uuid.uuid4().hex[:8]}"
    create_database(source_server, database)
    emulator = request.getfixturevalue("emulator") if warehouse_kind == "snowflake" else None
    world = World(source_server, database, tmp_path, kind=warehouse_kind, emulator=emulator)
    yield world
    world.close()
