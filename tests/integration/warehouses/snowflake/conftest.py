"""A database of its own on the emulator for each test of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.emulator import Emulator
from tests.support.statement_order import complaints


@pytest.fixture
def database(emulator: Emulator) -> Iterator[str]:
    """A fresh database; afterwards every session's order of statements is checked."""
    name = emulator.new_database()
    yield name
    assert complaints(emulator.seen(name)) == []
    emulator.drop(name)
