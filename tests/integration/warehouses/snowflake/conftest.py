"""One emulator for all tests of this folder, a database of its own for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.emulator import Emulator


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """The emulator."""
    with Emulator() as running:
        yield running


@pytest.fixture
def database(emulator: Emulator) -> Iterator[str]:
    """A fresh database; afterwards every session's order of statements is checked."""
    name = emulator.new_database()
    yield name
    emulator.drop(name)
