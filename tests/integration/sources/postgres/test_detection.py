"""PostgreSQL's detector keeps what every detector has to keep, and looks at no more than it must."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from adapters.sources.postgres import build_detector, detection
from adapters.sources.postgres.detection import PostgresDetector
from pipeline.domain.errors import SourceUnreachable
from pipeline.ports.changes import Look
from tests.conformance.changes import DetectorConformance, DetectorHarness, begin, look_until_told
from tests.conformance.source import Change, insert
from tests.integration.sources.postgres.test_conformance import PostgresHarness
from tests.support.postgres import Scene, stream

pytestmark = pytest.mark.integration


class DetectedPostgres(PostgresHarness, DetectorHarness):
    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._detectors: list[PostgresDetector] = []

    def detector(self) -> PostgresDetector:
        detector = build_detector("shop", {"dsn": self._scene.dsn}, pipeline=self._scene.database)
        self._detectors.append(detector)
        return detector

    def commit(self, *changes: Change) -> None:
        super().commit(*changes)
        # A server reports what one connection did a second before only when ten more have passed.
        self._scene.sql("SELECT pg_stat_force_next_flush()")

    def roll_back(self, *changes: Change) -> None:
        with self._scene.connection.transaction() as transaction:
            super().commit(*changes)
            raise psycopg.Rollback(transaction)

    def truncate(self, name: str) -> None:
        self._scene.sql(f"TRUNCATE {name}")

    def close(self) -> None:
        for detector in self._detectors:
            detector.close()


@pytest.fixture
def detected(scene: Scene) -> Iterator[DetectedPostgres]:
    harness = DetectedPostgres(scene)
    yield harness
    harness.close()


class TestPostgresDetector(DetectorConformance):
    @pytest.fixture
    def harness(self, detected: DetectedPostgres) -> DetectorHarness:
        return detected


def test_the_log_is_left_alone_while_the_statistics_stand_still(
    detected: DetectedPostgres, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.sql("CREATE TABLE others (id int)")
    specs = tuple(detected.specs.values())
    begin(detected, specs)
    detector = detected.detector()
    seen = detector.look(specs)
    peeks: list[object] = []
    monkeypatch.setattr(detection.slot, "end_of_log", peeks.append)
    scene.sql("INSERT INTO others SELECT generate_series(1, 1000)")
    scene.sql("SELECT pg_stat_force_next_flush()")
    assert detector.look(specs, since=seen.mark) == seen
    assert peeks == []


def test_a_busy_source_is_not_looked_through_again_before_a_run_has_loaded_what_was_told_of(
    detected: DetectedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = tuple(detected.specs.values())
    begin(detected, specs)
    detector = detected.detector()
    seen = detector.look(specs)
    detected.commit(insert("items", 1))
    seen = look_until_told(detector.look, specs, seen)
    peeks: list[object] = []
    monkeypatch.setattr(detection.slot, "end_of_log", peeks.append)
    detected.commit(insert("items", 2))
    assert detector.look(specs, since=seen.mark) == Look(False, seen.mark)
    assert peeks == []


def test_changes_of_partitions_are_told_of(detected: DetectedPostgres, scene: Scene) -> None:
    scene.sql("CREATE TABLE sales (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    scene.sql("CREATE TABLE sales_1 PARTITION OF sales FOR VALUES FROM (0) TO (100)")
    specs = (stream("sales"),)
    begin(detected, specs)
    detector = detected.detector()
    seen = detector.look(specs)
    assert not seen.has_changes
    scene.sql("INSERT INTO sales VALUES (1)")
    scene.sql("SELECT pg_stat_force_next_flush()")
    assert look_until_told(detector.look, specs, seen).has_changes


def test_where_the_server_does_not_count_the_log_is_looked_at_each_time(
    detected: DetectedPostgres, scene: Scene
) -> None:
    specs = tuple(detected.specs.values())
    begin(detected, specs)
    scene.sql(f"ALTER DATABASE {scene.database} SET track_counts = off")
    detector = detected.detector()
    seen = detector.look(specs)
    assert (seen.has_changes, seen.mark) == (False, "")
    detected.commit(insert("items", 1))
    assert detector.look(specs, since=seen.mark).has_changes


def test_a_server_that_is_away_is_unreachable(scene: Scene) -> None:
    detector = build_detector("shop", {"dsn": "postgresql://app:pw@127.0.0.1:1/shop"}, pipeline="shop")
    with pytest.raises(SourceUnreachable):
        detector.look((stream("orders"),))
