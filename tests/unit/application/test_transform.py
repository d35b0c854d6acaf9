"""Marts behind a long stream: built in the background, whatever happens to a build."""

import threading

import pytest

from pipeline.application.sync import sync
from pipeline.application.transform import MartRefresher, build, pending_transform
from pipeline.domain.change import Operation
from pipeline.domain.errors import PipelineError, WarehouseUnreachable
from pipeline.ports.transformer import TransformResult
from tests.support.rig import RecordingTransformer, Rig


class Failing(RecordingTransformer):
    """Fails once, and tells when it is asked again."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error
        self.was_asked = threading.Event()
        self.was_asked_again = threading.Event()

    def build(self, tables=None, *, full_refresh: bool = False) -> TransformResult:
        error, self.error = self.error, None
        if error is not None:
            self.was_asked.set()
            raise error
        self.was_asked_again.set()
        return super().build(tables, full_refresh=full_refresh)


@pytest.mark.parametrize("error", [WarehouseUnreachable("held", where="file"), ValueError("canary")])
def test_a_build_that_fails_is_told_and_tried_again(error: Exception) -> None:
    rig = Rig(transformer=Failing(error))
    rig.database.commit(("orders", Operation.INSERT, {"id": 1, "status": "new"}))
    sync(rig.session(), with_transform=False)
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


def test_what_is_built_in_parts_is_settled_by_the_last_of_them_as_of_the_first() -> None:
    rig = Rig(transformer=RecordingTransformer())
    rig.database.commit(("orders", Operation.INSERT, {"id": 1, "status": "new"}))
    sync(rig.session())
    rig.database.commit(("orders", Operation.INSERT, {"id": 2, "status": "new"}))
    sync(rig.session(), with_transform=False)
    pending = pending_transform([rig.session()])
    assert pending is not None
    assert pending.streams == ("orders",)
    build([rig.session()], pending, settles=False)
    assert pending_transform([rig.session()]) == pending
    # What is loaded between the parts is built next time.
    rig.database.commit(("orders", Operation.INSERT, {"id": 3, "status": "new"}))
    sync(rig.session(), with_transform=False)
    build([rig.session()], pending)
    later = pending_transform([rig.session()])
    assert later is not None
    assert later.loads["shop"] > pending.loads["shop"]
    build([rig.session()], later)
    assert pending_transform([rig.session()]) is None


def test_a_part_that_fails_settles_nothing() -> None:
    rig = Rig(transformer=RecordingTransformer(failing=True))
    rig.database.commit(("orders", Operation.INSERT, {"id": 1, "status": "new"}))
    sync(rig.session(), with_transform=False)
    pending = pending_transform([rig.session()])
    assert pending is not None
    build([rig.session()], pending)
    assert pending_transform([rig.session()]) == pending
