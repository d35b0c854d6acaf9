"""One server of each version for all tests of the decoder, and rows as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import count

import pytest

from entrypoints.demo.server import EmbeddedPostgres
from tests.support.pglog import Recorder, recording

_NUMBERS = count(1)


@pytest.fixture(scope="session", params=[16, 18], ids=["postgres16", "postgres18"])
def server(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    """A running server."""
    with EmbeddedPostgres(version=request.param) as running:
        yield running


@pytest.fixture
def record(server: EmbeddedPostgres) -> Callable[..., AbstractContextManager[Recorder]]:
    """Opens a recorder over a new database, given the statements that set it up."""
    return partial(recording, server, f"decoder{next(_NUMBERS)}")
