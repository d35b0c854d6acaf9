"""Steps that look at changelog, quarantine, checkpoint, counts and what was said."""

from __future__ import annotations

import json

import pytest
from pytest_bdd import parsers, then

from pipeline.domain.errors import ContractBroken, Fenced
from pipeline.domain.events import BatchApplied
from tests.support.steps.ground import Memo, source_rows, table, text
from tests.support.world import World


@then("the changelog shows each change once")
def changelog_once(world: World) -> None:
    sequences = [row["_cdc_sequence"] for row in world.changelog("orders")]
    assert len(sequences) == len(set(sequences))
    replayed: dict[int, tuple[str, ...]] = {}
    for row in world.changelog("orders"):
        if row["_cdc_op"] == "delete":
            del replayed[row["id"]]
        else:
            replayed[row["id"]] = (text(row["id"]), text(row["status"]), text(row["amount"]))
    assert sorted(replayed.values()) == source_rows(world)


@then("the checkpoint has not moved")
def checkpoint_stands(world: World, memo: Memo) -> None:
    assert world.checkpoint() == memo.checkpoint


@then("the source still keeps the log from the checkpoint on")
def log_kept(world: World) -> None:
    session = world.session()
    try:
        state = session.source.check(world.checkpoint())
    finally:
        session.source.close()
    assert state.confirmed is not None
    assert world.checkpoint().position.covers(state.confirmed)


@then("the source keeps the log only from the checkpoint on")
def log_released(world: World) -> None:
    session = world.session()
    try:
        state = session.source.log()
    finally:
        session.source.close()
    assert state.confirmed == world.checkpoint().position


@then("it is fenced out")
def fenced(memo: Memo) -> None:
    assert isinstance(memo.error, Fenced)


@then("it stops with a broken contract")
def contract_broken(memo: Memo) -> None:
    assert isinstance(memo.error, ContractBroken)


@then("the latest load counted")
def counted(world: World, datatable: list[list[str]]) -> None:
    counts = world.recorder.of(BatchApplied)[-1].counts["orders"]
    (expected,) = table(datatable)
    assert {name: str(getattr(counts, f"{name}_count")) for name in expected} == expected
    assert counts.is_balanced


@then("the quarantine shows")
def quarantine_shows(world: World, datatable: list[list[str]]) -> None:
    rows = sorted((text(json.loads(row["key"])["id"]), row["status"]) for row in world.quarantined("orders"))
    assert rows == [tuple(row.values()) for row in table(datatable)]


@then(parsers.parse("{canary} is nowhere in what it said"))
def nowhere(memo: Memo, world: World, canary: str, caplog: pytest.LogCaptureFixture) -> None:
    said = [str(memo.error), repr(memo.error), str(getattr(memo.error, "facts", "")), caplog.text]
    said += [repr(event) for event in world.recorder.events]
    cause = memo.error
    while cause is not None:
        said += [str(cause), repr(cause)]
        cause = cause.__cause__  # type: ignore[assignment] # any exception may be a cause
    assert canary not in "\n".join(said)


@then("all of them were loaded together")
def loaded_together(world: World) -> None:
    counts = world.recorder.of(BatchApplied)[-1].counts["orders"]
    assert counts.changelog_count == 20_000


@then("no load was made")
def no_load(world: World) -> None:
    assert world.recorder.of(BatchApplied) == []
