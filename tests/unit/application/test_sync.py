"""A bounded run, its end under steady writes, and the marts behind it."""

import pytest

from pipeline.application.sync import sync
from pipeline.application.transform import transform
from pipeline.domain.change import Operation
from pipeline.domain.errors import ConfigError
from pipeline.domain.events import TransformFinished
from tests.support.memory_source import MemorySource
from tests.support.rig import RecordingTransformer, Rig

INSERT = Operation.INSERT


@pytest.fixture
def rig() -> Rig:
    rig = Rig(transformer=RecordingTransformer())
    rig.database.commit(("orders", INSERT, {"id": 1, "status": "new"}))
    return rig


def test_a_run_under_steady_writes_ends_at_the_position_taken_at_its_start(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(rig.session())
    check = MemorySource.read

    def read_while_others_write(self: MemorySource, *args: object, **options: object) -> object:
        rig.database.commit(("orders", INSERT, {"id": 2, "status": "late"}))
        return check(self, *args, **options)

    monkeypatch.setattr(MemorySource, "read", read_while_others_write)
    sync(rig.session())
    assert [row["id"] for row in rig.current()] == [1]
    monkeypatch.undo()
    sync(rig.session())
    assert rig.current() == rig.table()


def test_marts_are_built_once_for_all_and_then_for_what_changed(rig: Rig) -> None:
    sync(rig.session())
    sync(rig.session())
    rig.database.commit(("orders", INSERT, {"id": 2, "status": "new"}))
    sync(rig.session())
    assert rig.transformer is not None
    assert rig.transformer.builds == [None, ["shop__orders"]]


def test_marts_that_failed_are_built_again_by_the_next_run_even_if_nothing_changed(rig: Rig) -> None:
    assert rig.transformer is not None
    rig.transformer.failing = True
    sync(rig.session())
    rig.transformer.failing = False
    sync(rig.session())
    sync(rig.session())
    assert rig.transformer.builds == [None, None]
    assert [event.error for event in rig.recorder.of(TransformFinished)] == ["1 nodes failed", None]
    assert [finding.check for finding in rig.recorder.findings] == ["transform"]


def test_a_load_whose_process_died_before_the_marts_is_not_forgotten(rig: Rig) -> None:
    sync(rig.session())
    rig.database.commit(("orders", INSERT, {"id": 2, "status": "new"}))
    sync(rig.session(), with_transform=False)
    sync(rig.session())
    assert rig.transformer is not None
    assert rig.transformer.builds == [None, ["shop__orders"]]


def test_building_for_some_streams_does_not_hide_that_others_changed(rig: Rig) -> None:
    rig.database.schemas["items"] = rig.database.schemas["orders"]
    rig.database.tables["items"] = {}
    rig.stream("items")
    sync(rig.session())
    rig.database.commit(("orders", INSERT, {"id": 2, "status": "new"}), ("items", INSERT, {"id": 1, "status": "new"}))
    sync(rig.session(), with_transform=False)
    transform([rig.session()], streams=["orders"])
    sync(rig.session())
    assert rig.transformer is not None
    assert rig.transformer.builds == [None, ["shop__orders"], ["shop__items", "shop__orders"]]


def test_a_pipeline_without_transform_says_so(rig: Rig) -> None:
    rig.transformer = None
    with pytest.raises(ConfigError, match="no transform section"):
        transform([rig.session()])
