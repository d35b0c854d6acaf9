"""What one thread asks while another has a load open, as marts are built behind a long stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import attrs
import pytest

from adapters.warehouses.snowflake import build
from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from pipeline.domain.checkpoint import Checkpoint
from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import Fenced
from tests.conformance.warehouse_ground import FIRST, GROUP, create, following, load, target_for
from tests.support.emulator import Emulator
from tests.support.told import Log

_Result = TypeVar("_Result")


@pytest.fixture
def warehouse(emulator: Emulator, database: str) -> Iterator[SnowflakeWarehouse]:
    made = build("warehouse", {**emulator.options(database), "retry_s": 1})
    made.setup(GROUP)
    made.begin(FIRST)
    create(made, target_for())
    yield made
    made.close()


def elsewhere(work: Callable[[], _Result]) -> _Result:
    """What a thread of its own gets."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@attrs.frozen
class Interrupting(Mapping[str, StreamCounts]):
    """Counts that run something when a load looks at them, which is within its transaction, before the audit."""

    meanwhile: Callable[[], object]

    def __iter__(self) -> Iterator[str]:
        elsewhere(self.meanwhile)
        return iter(())

    def __len__(self) -> int:
        return 0

    def __getitem__(self, name: str) -> StreamCounts:
        raise KeyError(name)


def commit(warehouse: SnowflakeWarehouse, after: Checkpoint, meanwhile: Callable[[], object]) -> Checkpoint:
    """Load nothing, and do something in another thread within the transaction."""
    with warehouse.load(after, following(after)) as opened:
        opened.commit(Interrupting(meanwhile))
    return following(after)


def test_another_thread_does_not_see_what_a_load_has_not_committed(warehouse: SnowflakeWarehouse) -> None:
    first = load(warehouse, target_for(), [Log().insert(id=1, name="a")])
    seen: list[object] = []
    commit(
        warehouse,
        first,
        lambda: seen.extend([warehouse.checkpoint(GROUP), warehouse.changed_since(GROUP, -1)]),
    )
    assert seen == [first, frozenset({"people"})]


def test_what_another_thread_read_is_not_what_a_load_goes_on_from(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    other = build("another", emulator.options(database))
    moved = load(other, target_for(), [Log().insert(id=1, name="a")])
    other.close()
    assert elsewhere(lambda: warehouse.checkpoint(GROUP)) == moved
    with warehouse.load(FIRST, following(FIRST)) as opened, pytest.raises(Fenced):
        opened.commit({})


def test_what_marts_are_built_up_to_is_kept_though_the_load_beside_it_is_not(warehouse: SnowflakeWarehouse) -> None:
    def meanwhile() -> None:
        warehouse.set_transformed(GROUP, 7)
        raise KeyError

    with pytest.raises(KeyError):
        commit(warehouse, FIRST, meanwhile)
    assert (warehouse.transformed(GROUP), warehouse.checkpoint(GROUP)) == (7, FIRST)


def test_a_session_that_another_thread_lost_takes_no_load_with_it(
    warehouse: SnowflakeWarehouse, emulator: Emulator, database: str
) -> None:
    def meanwhile() -> None:
        emulator.fault(database, pattern='FROM "PIPELINE"."TRANSFORMS"', kind="session_gone")
        assert warehouse.transformed(GROUP) == -1

    assert commit(warehouse, FIRST, meanwhile) == warehouse.checkpoint(GROUP)


def test_sessions_of_all_threads_are_closed_together(warehouse: SnowflakeWarehouse) -> None:
    sessions = warehouse._sessions
    opened = [sessions.get(), elsewhere(sessions.get)]
    assert [session.is_usable for session in opened] == [True, True]
    warehouse.close()
    assert [session.is_usable for session in opened] == [False, False]
