"""The generator bites: planners with known defects are caught by comparing with the row-by-row model."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, Phase, find, settings

import adapters.warehouses.memory
from pipeline.domain.change import COMMIT_AT, OLD_KEY, OP, SEQUENCE, UNCHANGED, Operation
from pipeline.domain.loading import BASE_KEY, LoadStep, Target
from pipeline.domain.planning import plan_steps
from pipeline.domain.stream import Mode
from tests.support.driver import Driver, Planner
from tests.support.generator import History, histories
from tests.support.state_warehouse import StateWarehouse
from tests.support.tables import content

#: In how many examples each defect must be found.
EXAMPLES = 200

Steps = tuple[LoadStep, ...]


def _each(steps: Steps, change: Callable[[LoadStep], LoadStep]) -> Steps:
    return tuple(change(step) for step in steps)


def forgets_unchanged_columns(target: Target, changes: pa.Table) -> Steps:
    """Values that the log left out become null."""
    return _each(plan_steps(target, changes), lambda step: _with(step, UNCHANGED, pa.nulls(step.state.num_rows)))


def takes_unchanged_columns_from_the_new_key(target: Target, changes: pa.Table) -> Steps:
    """A row that got another key looks for its values under that one."""

    def own_base(step: LoadStep) -> LoadStep:
        own = pa.StructArray.from_arrays(
            [step.state[name].combine_chunks() for name in target.schema.key], fields=list(target.schema.key_type())
        )
        return _with(step, BASE_KEY, pc.if_else(step.state[BASE_KEY].is_valid(), own, None))

    return _each(plan_steps(target, changes), own_base)


def leaves_the_old_key(target: Target, changes: pa.Table) -> Steps:
    """A key change is taken as an update of the new key alone."""
    return plan_steps(target, _replace(changes, OLD_KEY, pa.nulls(changes.num_rows)))


def ignores_truncates(target: Target, changes: pa.Table) -> Steps:
    """Rows survive a TRUNCATE."""
    return _each(plan_steps(target, changes), lambda step: attrs.evolve(step, truncate=None))


def truncates_first(target: Target, changes: pa.Table) -> Steps:
    """All truncates of a piece are moved to its beginning."""
    is_truncate = pc.equal(changes[OP], pa.scalar(int(Operation.TRUNCATE), pa.int8()))
    if target.mode is Mode.APPEND or not pc.any(is_truncate).as_py():
        return plan_steps(target, changes)
    moved = pa.concat_tables([changes.filter(is_truncate), changes.filter(pc.invert(is_truncate))])
    return plan_steps(target, moved)


def keeps_the_first_state(target: Target, changes: pa.Table) -> Steps:
    """Of several changes of one key the first is kept."""
    if target.mode is Mode.APPEND:
        return plan_steps(target, changes)
    keys = [repr(tuple(row.values())) for row in changes.select(target.schema.key).to_pylist()]
    return plan_steps(target, changes.take([number for number, key in enumerate(keys) if keys.index(key) == number]))


def forgets_deletes(target: Target, changes: pa.Table) -> Steps:
    """Rows deleted at the source stay."""

    def living(step: LoadStep) -> LoadStep:
        kept = pc.not_equal(step.state[OP], pa.scalar(int(Operation.DELETE), pa.int8()))
        return attrs.evolve(step, state=step.state.filter(kept))

    return _each(plan_steps(target, changes), living)


def orders_by_commit_time(target: Target, changes: pa.Table) -> Steps:
    """Changes are applied in the order of the clock, not of the log."""
    if target.mode is Mode.APPEND:
        return plan_steps(target, changes)
    order = pc.sort_indices(changes, sort_keys=[(COMMIT_AT, "ascending"), (SEQUENCE, "descending")])
    return plan_steps(target, changes.take(order))


DEFECTS = (
    forgets_unchanged_columns,
    takes_unchanged_columns_from_the_new_key,
    leaves_the_old_key,
    ignores_truncates,
    truncates_first,
    keeps_the_first_state,
    forgets_deletes,
    orders_by_commit_time,
)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_the_generator_finds_a_planner_that(defect: Planner) -> None:
    find(
        histories(),
        lambda history: _differs(history, defect),
        settings=settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=[Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
        random=random.Random(0),
    )


def _differs(history: History, plan: Planner) -> bool:
    model = Driver(adapters.warehouses.memory.build("oracle", {}), history.schema)
    defective = Driver(StateWarehouse(), history.schema, plan=plan)
    for driver in (model, defective):
        driver.begin()
    for load in history.loads:
        model.play(load)
        defective.play(load)
        for mode in (Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY):
            target = model.target(mode)
            if content(defective.warehouse.rows(target)) != content(model.warehouse.rows(target)):
                return True
    return False


def _with(step: LoadStep, name: str, column: pa.Array) -> LoadStep:
    return attrs.evolve(step, state=_replace(step.state, name, column))


def _replace(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    field = table.schema.field(name)
    return table.set_column(table.column_names.index(name), field, column.cast(field.type))
