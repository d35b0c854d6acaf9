"""Real servers for the PostgreSQL source: the oldest and the newest that we can start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from entrypoints.demo.server import EmbeddedPostgres
from tests.support.postgres import Scene
from tests.support.postgres import scene as fresh_scene


@pytest.fixture(scope="module", params=[16, 18], ids=["pg16", "pg18"])
def server(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(version=request.param) as running:
        yield running


@pytest.fixture
def scene(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Scene]:
    with fresh_scene(server, tmp_path) as made:
        yield made
