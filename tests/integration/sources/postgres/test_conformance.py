"""PostgreSQL keeps what every source has to keep."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import sql

from adapters.sources.postgres.source import PostgresSource
from pipeline.domain.change import Operation
from pipeline.domain.position import Position
from pipeline.domain.stream import StreamSpec
from tests.conformance.log import LogConformance, LogHarness
from tests.conformance.source import Change
from tests.support.postgres import Scene, stream, wait_for

pytestmark = pytest.mark.integration


class PostgresHarness(LogHarness):
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        for name in self.specs:
            scene.sql(f"CREATE TABLE {name} (id int PRIMARY KEY, note text)")

    @property
    def specs(self) -> dict[str, StreamSpec]:
        return {name: stream(name) for name in ("orders", "items")}

    def source(self) -> PostgresSource:
        return self._scene.source(slot_wait_s=2)

    def commit(self, *changes: Change) -> None:
        with self._scene.connection.transaction():
            for name, operation, row in changes:
                table = sql.Identifier(name)
                if operation is Operation.INSERT:
                    text = sql.SQL("INSERT INTO {} VALUES (%(id)s, %(note)s)").format(table)
                elif operation is Operation.UPDATE:
                    text = sql.SQL("UPDATE {} SET note = %(note)s WHERE id = %(id)s").format(table)
                else:
                    text = sql.SQL("DELETE FROM {} WHERE id = %(id)s").format(table)
                self._scene.connection.execute(text, row)

    def rows(self, name: str) -> dict[int, dict[str, Any]]:
        return {key[0]: row for key, row in self._scene.rows(name).items()}

    def lose_log(self) -> None:
        self._scene.sql("SELECT pg_drop_replication_slot(%s)", self._scene.slot)

    def confirmed(self) -> Position:
        return Position({"lsn": self._scene.confirmed()})

    def settle(self) -> None:
        query = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
        wait_for(lambda: self._scene.sql(query, self._scene.slot) == [(False,)])


class TestPostgres(LogConformance):
    @pytest.fixture
    def harness(self, scene: Scene) -> LogHarness:
        return PostgresHarness(scene)
