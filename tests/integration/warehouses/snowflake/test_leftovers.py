"""What attempts leave in the stage and on disk: nothing, whatever came of them, unless nobody could remove it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.warehouses.snowflake import build, uploading, workfolders
from adapters.warehouses.snowflake.files import FileColumn
from adapters.warehouses.snowflake.options import parse
from adapters.warehouses.snowflake.session import Session, open_session
from adapters.warehouses.snowflake.sessions import Sessions
from adapters.warehouses.snowflake.statement import Statement
from adapters.warehouses.snowflake.uploading import Uploads
from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from adapters.warehouses.snowflake.workfolders import WorkFolder
from pipeline.domain.errors import CommitUnknown, Fenced, PipelineError
from pipeline.domain.loading import Target
from pipeline.domain.planning import plan_steps
from pipeline.domain.stream import Mode
from pipeline.ports.warehouse import Load
from tests.conformance.warehouse_ground import FIRST, GROUP, PEOPLE, create, following, load, target_for
from tests.support.emulator import Emulator
from tests.support.told import Log, change_table

NUMBER = [FileColumn("c", pa.int64())]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture
def warehouse(emulator: Emulator, database: str, work: Path) -> Iterator[SnowflakeWarehouse]:
    made = build("warehouse", {**emulator.options(database), "work_folder": str(work), "retry_s": 1})
    made.setup(GROUP)
    made.begin(FIRST)
    create(made, target_for())
    yield made
    made.close()


@pytest.fixture
def session(emulator: Emulator, database: str) -> Iterator[Session]:
    """A session of somebody who looks."""
    opened = open_session(parse("another", emulator.options(database)))
    yield opened
    opened.close()


def staged(session: Session) -> list[str]:
    return [str(row["name"]) for row in session.named_rows(Statement("LIST @PIPELINE.LOADS"))]


def load_some(warehouse: SnowflakeWarehouse, end: Callable[[Load], None] = lambda load: load.commit({})) -> None:
    """A load of two files, a row for the changelog and its state, that comes to some end."""
    with warehouse.load(FIRST, following(FIRST)) as opened:
        for step in plan_steps(target_for(), change_table(PEOPLE, [Log().insert(id=1, name="a")])):
            opened.apply(step)
        end(opened)


def fail(warehouse: SnowflakeWarehouse) -> None:
    def end(opened: Load) -> None:
        raise KeyError("a fault in the middle")

    with pytest.raises(KeyError):
        load_some(warehouse, end)


def be_overtaken(warehouse: SnowflakeWarehouse) -> None:
    def end(opened: Load) -> None:
        other = SnowflakeWarehouse(warehouse._options)
        load(other, target_for(), [Log().insert(id=2, name="b")])
        other.close()
        opened.commit({})

    with pytest.raises(Fenced):
        load_some(warehouse, end)


def rebuild_in_vain(warehouse: SnowflakeWarehouse) -> None:
    after = load(warehouse, target_for(), [Log().insert(id=1, name="a")])
    with pytest.raises(PipelineError):
        warehouse.rebuild(after, Target("people", "shop__missing", Mode.HISTORY, PEOPLE, 1))


ENDS: dict[str, Callable[[SnowflakeWarehouse], None]] = {
    "committed": load_some,
    "left": lambda warehouse: load_some(warehouse, lambda load: None),
    "failed": fail,
    "fenced": be_overtaken,
    "rebuild failed": rebuild_in_vain,
}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_left_of_an_attempt_in_the_stage_or_on_disk(
    warehouse: SnowflakeWarehouse, session: Session, work: Path, end: str
) -> None:
    ENDS[end](warehouse)
    assert (staged(session), list(work.iterdir())) == ([], [])


@pytest.mark.parametrize("statement", ["^COPY", "^MERGE INTO .STAGING", "^COMMIT"])
def test_nothing_is_left_of_a_load_that_somebody_ended(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, session: Session, work: Path, statement: str
) -> None:
    emulator.fault(database, pattern=statement, kind="killed")
    with pytest.raises(PipelineError):
        load_some(warehouse)
    assert (staged(session), list(work.iterdir())) == ([], [])


def test_a_load_whose_session_was_replaced_removes_its_folder_by_the_new_one(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, session: Session
) -> None:
    emulator.fault(database, pattern="^BEGIN", kind="session_gone")
    load_some(warehouse)
    assert staged(session) == []


def test_where_the_service_is_gone_nobody_waits_for_it_again_to_remove_a_folder(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str, session: Session, work: Path
) -> None:
    emulator.fault(database, pattern="^COMMIT", kind="answer_lost")
    with pytest.raises(CommitUnknown):
        load_some(warehouse)
    assert list(work.iterdir()) == []
    assert staged(session)
    seen = emulator.seen(database)
    lost = next(place for place, each in enumerate(seen) if each.text == "(cut off)")
    assert not [each.text for each in seen[lost:] if each.text.startswith("REMOVE")]


def test_folders_that_dead_processes_left_are_swept_at_once_each_and_younger_ones_are_not(
    warehouse: SnowflakeWarehouse,
    emulator: Emulator,
    database: str,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sessions = Sessions(parse("dead", emulator.options(database)))
    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt), Uploads(sessions) as left:
            for _ in range(3):
                left.add(pa.table({"c": [1]}), NUMBER)
            left.wait()
            raise KeyboardInterrupt  # as a process that is about to die
    sessions.close()
    uploading.sweep(session)
    assert len(staged(session)) == 6
    monkeypatch.setattr(uploading, "LEFTOVER_AGE", -timedelta(days=1))
    before = len(emulator.seen(database))
    uploading.sweep(session)
    assert staged(session) == []
    texts = [each.text.split("/")[0] for each in emulator.seen(database)[before:]]
    assert texts == ["LIST @PIPELINE.LOADS", *["REMOVE @PIPELINE.LOADS"] * 2, "LIST @PIPELINE.LOADS"]


def test_a_start_sweeps_the_disk_too(
    warehouse: SnowflakeWarehouse, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workfolders, "YOUNG_S", 0.0)
    in_use = WorkFolder(work)
    left = WorkFolder(work)
    left._lock.close()  # as the end of its process would
    warehouse.setup(GROUP)
    assert list(work.iterdir()) == [in_use.path]
    in_use.remove()
