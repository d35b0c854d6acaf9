"""Marts: behind a bounded run once and for what changed, behind a long one in the background."""

import threading

import pytest

from pipeline.application.groups import sync_groups
from pipeline.application.sync import sync
from pipeline.application.transform import MartRefresher, build, pending_transform, transform
from pipeline.domain.change import Operation
from pipeline.domain.errors import ConfigError, PipelineError, WarehouseUnreachable
from pipeline.domain.events import TransformFinished
from pipeline.ports.transformer import TransformResult
from tests.support.rig import RecordingTransformer, Rig

INSERT = Operation.INSERT


@pytest.fixture
def rig() -> Rig:
    rig = Rig(transformer=RecordingTransformer())
    rig.database.commit(("orders", INSERT, {"id": 1, "status": "new"}))
    return rig


class Failing(RecordingTransformer):
    """Fails once, and tells when it is asked again."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error
        self.was_asked = threading.Event()
        self.was_asked_again = threading.Event()

    def build(self, tables=None, *, absent=(), full_refresh: bool = False) -> TransformResult:
        error, self.error = self.error, None
        if error is not None:
            self.was_asked.set()
            raise error
        self.was_asked_again.set()
        return super().build(tables, absent=absent, full_refresh=full_refresh)


@pytest.mark.parametrize("error", [WarehouseUnreachable("held", where="file"), ValueError("canary")])
def test_a_build_that_fails_is_told_and_tried_again(error: Exception) -> None:
    rig = Rig(transformer=Failing(error))
    rig.database.commit(("orders", Operation.INSERT, {"id": 1, "status": "new"}))
    sync(rig.session())
    transformer = rig.transformer
    assert isinstance(transformer, Failing)
    with MartRefresher([rig.session()]):
        assert transformer.was_asked.wait(10)
        while not transformer.was_asked_again.wait(0.05) and rig.clock.elapsed < 1e6:
            rig.clock.elapsed += 3600
    assert transformer.was_asked_again.is_set()
    [finding] = rig.recorder.findings
    assert finding.check == "transform"
    assert "canary" not in str(finding)
    assert isinstance(error, PipelineError) or "ValueError" in finding.what


class AboutToBuild(RecordingTransformer):
    """Is closed before it has begun to build, and then builds until it is closed again."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = threading.Event()
        self.closed = threading.Semaphore(0)

    def build(self, tables=None, *, absent=(), full_refresh: bool = False) -> TransformResult:
        self.is_asked.set()
        assert self.closed.acquire(timeout=10)
        assert self.closed.acquire(timeout=10), "a build that nobody stops"
        raise PipelineError("stopped")

    def close(self) -> None:
        self.closed.release()


def test_leaving_ends_a_build_that_begins_just_then() -> None:
    transformer = AboutToBuild()
    rig = Rig(transformer=transformer)
    rig.database.commit(("orders", INSERT, {"id": 1, "status": "new"}))
    sync(rig.session())
    with MartRefresher([rig.session()]):
        assert transformer.is_asked.wait(10)
    assert rig.recorder.findings == []


def test_what_is_built_in_parts_is_settled_by_the_last_of_them_as_of_the_first() -> None:
    rig = Rig(transformer=RecordingTransformer())
    rig.database.commit(("orders", Operation.INSERT, {"id": 1, "status": "new"}))
    sync_groups([rig.session()])
    rig.database.commit(("orders", Operation.INSERT, {"id": 2, "status": "new"}))
    sync(rig.session())
    pending = pending_transform([rig.session()])
    assert pending is not None
    assert pending.streams == ("orders",)
    build([rig.session()], pending, settles=False)
    assert pending_transform([rig.session()]) == pending
    # What is loaded between the parts is built next time.
    rig.database.commit(("orders", Operation.INSERT, {"id": 3, "status": "new"}))
    sync(rig.session())
    build([rig.session()], pending)
    later = pending_transform([rig.session()])
    assert later is not None
    assert later.loads["shop"] > pending.loads["shop"]
    build([rig.session()], later)
    assert pending_transform([rig.session()]) is None


def test_a_part_that_fails_settles_nothing() -> None:
    rig = Rig(transformer=RecordingTransformer(failing=True))
    rig.database.commit(("orders", Operation.INSERT, {"id": 1, "status": "new"}))
    sync(rig.session())
    pending = pending_transform([rig.session()])
    assert pending is not None
    build([rig.session()], pending)
    assert pending_transform([rig.session()]) == pending


def test_marts_are_built_once_for_all_and_then_for_what_changed(rig: Rig) -> None:
    sync_groups([rig.session()])
    sync_groups([rig.session()])
    rig.database.commit(("orders", INSERT, {"id": 2, "status": "new"}))
    sync_groups([rig.session()])
    assert rig.transformer is not None
    assert rig.transformer.builds == [None, ["shop__orders"]]


def test_marts_that_failed_are_built_again_by_the_next_run_even_if_nothing_changed(rig: Rig) -> None:
    assert rig.transformer is not None
    rig.transformer.failing = True
    sync_groups([rig.session()])
    rig.transformer.failing = False
    sync_groups([rig.session()])
    sync_groups([rig.session()])
    assert rig.transformer.builds == [None, None]
    assert [event.error for event in rig.recorder.of(TransformFinished)] == ["1 nodes failed", None]
    assert [finding.check for finding in rig.recorder.findings] == ["transform"]


def test_a_load_whose_process_died_before_the_marts_is_not_forgotten(rig: Rig) -> None:
    sync_groups([rig.session()])
    rig.database.commit(("orders", INSERT, {"id": 2, "status": "new"}))
    sync(rig.session())
    sync_groups([rig.session()])
    assert rig.transformer is not None
    assert rig.transformer.builds == [None, ["shop__orders"]]


def test_building_for_some_streams_does_not_hide_that_others_changed(rig: Rig) -> None:
    rig.database.schemas["items"] = rig.database.schemas["orders"]
    rig.database.tables["items"] = {}
    rig.stream("items")
    sync_groups([rig.session()])
    rig.database.commit(("orders", INSERT, {"id": 2, "status": "new"}), ("items", INSERT, {"id": 1, "status": "new"}))
    sync(rig.session())
    transform([rig.session()], streams=["orders"])
    sync_groups([rig.session()])
    assert rig.transformer is not None
    assert rig.transformer.builds == [None, ["shop__orders"], ["shop__items", "shop__orders"]]


def test_a_pipeline_without_transform_says_so(rig: Rig) -> None:
    rig.transformer = None
    with pytest.raises(ConfigError, match="no transform section"):
        transform([rig.session()])
