"""Steps that run the pipeline, or somebody against it."""

from __future__ import annotations

import threading

from pytest_bdd import parsers, when

from pipeline.application.stream import follow
from pipeline.domain.errors import PipelineError
from pipeline.domain.events import BatchApplied, CopyFinished
from pipeline.domain.stream import Mode
from tests.support.faults import Fault
from tests.support.steps.ground import Memo, attempt
from tests.support.world import World


@when("the pipeline runs")
def runs(world: World, memo: Memo) -> None:
    attempt(world, memo)


@when("the pipeline loses the answer to its commit and goes on")
def loses_answer(world: World, memo: Memo) -> None:
    attempt(world, memo, Fault.ANSWER_LOST)
    assert memo.error is None


@when("the sleeping writer loads")
def sleeper_loads(memo: Memo) -> None:
    loader, batch = memo.sleeper
    try:
        loader.load(batch)
    except PipelineError as error:
        memo.error = error


@when("the pipeline streams for a moment and is stopped")
def streams_for_a_moment(world: World) -> None:
    session = world.session()
    loads = len(world.recorder.of(BatchApplied))

    def stop_soon() -> None:
        while len(world.recorder.of(BatchApplied)) < loads + 5 and not session.stop.wait(0.01):
            pass
        session.stop.set()

    watcher = threading.Thread(target=stop_soon)
    watcher.start()
    try:
        follow(session)
    finally:
        session.stop.set()
        watcher.join()
        session.source.close()


@when("the source falls silent")
def falls_silent(memo: Memo) -> None:
    memo.silence.set()
    assert memo.writer is not None
    memo.writer.join()


@when(parsers.parse("the mode becomes {mode} and the pipeline runs"))
def mode_becomes(world: World, memo: Memo, mode: str) -> None:
    memo.copies = len(world.recorder.of(CopyFinished))
    world.stream("orders", mode=Mode(mode))
    world.run()
