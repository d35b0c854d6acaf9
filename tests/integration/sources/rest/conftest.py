"""A real HTTP server with an API, and a pipeline from it into DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rest_server import Api, serving
from tests.support.rest_world import RestWorld


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as running:
        yield running


@pytest.fixture
def world(api: Api, tmp_path: Path) -> Iterator[RestWorld]:
    made = RestWorld(api, tmp_path)
    yield made
    made.close()
