"""A world over a server that another process started, for tests and benchmarks that need processes of their own."""

from __future__ import annotations

from pathlib import Path

from entrypoints.demo.server import EmbeddedPostgres
from tests.support.world import World


class AttachedServer(EmbeddedPostgres):
    """A server known only by an address; it is neither started nor stopped here."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def dsn(self, database: str = "postgres", *, user: str = "postgres", password: str | None = None) -> str:
        """The one address that is known."""
        return self._address


def attached_world(dsn: str, folder: Path) -> World:
    """The DuckDB world in ``folder`` over the database at ``dsn``, named as that database."""
    return World(AttachedServer(dsn), dsn.rsplit("/", 1)[1], folder, kind="duckdb")
