"""Steps that say what was there: tables, contracts, what was committed, who died before."""

from __future__ import annotations

import threading

import attrs
import psycopg
from pytest_bdd import given, parsers, when

from pipeline.application.loader import GroupLoader
from pipeline.domain.contract import Contract, OnMisfit, Rule, RuleKind, Severity
from pipeline.domain.events import CopyFinished
from pipeline.domain.stream import Mode
from tests.support.faults import Fault
from tests.support.steps.ground import ORDERS, STATUSES, Memo, attempt, statement, table
from tests.support.world import SOURCE, World


@given("the source table orders")
def source_table(world: World, datatable: list[list[str]]) -> None:
    world.sql(ORDERS, *(statement({"change": "insert", **row}) for row in table(datatable)))
    world.stream("orders")


@given(parsers.parse("the mode {mode}"))
def mode_is(world: World, mode: str) -> None:
    world.stream("orders", mode=Mode(mode))


@given(parsers.re("the contract (?P<verb>accepts the|stops at) statuses .*"))
def contract_of_statuses(world: World, verb: str) -> None:
    severity = Severity.STOP if verb == "stops at" else Severity.QUARANTINE
    rule = Rule(RuleKind.ACCEPTED, ("status",), severity=severity, accepted=STATUSES)
    world.stream("orders", contract=Contract(rules=(rule,)))


@given("the contract makes null of values that do not fit")
def contract_of_nulls(world: World) -> None:
    world.stream("orders", contract=Contract(on_misfit=OnMisfit.NULL))


@given("64 kB of a transaction may wait in memory")
def little_memory(world: World) -> None:
    world.limits = attrs.evolve(world.limits, spill_bytes=64 * 1024, rows=2_000)


@given("the pipeline has copied it")
@given("the pipeline ran")
def ran(world: World, memo: Memo) -> None:
    world.run()
    memo.checkpoint = world.checkpoint()
    memo.copies = len(world.recorder.of(CopyFinished))


@given("the source committed")
def committed(world: World, datatable: list[list[str]]) -> None:
    world.sql(*(statement(change) for change in table(datatable)))


@given("the source committed 20000 rows in one transaction")
def committed_many(world: World) -> None:
    world.sql("INSERT INTO orders SELECT n, 'new', n FROM generate_series(2, 20001) n")


@given("another table of the source grows by 4 MB")
def others_write(world: World) -> None:
    world.sql("CREATE TABLE other (note text)")
    world.sql("INSERT INTO other SELECT repeat(md5(n::text), 4) FROM generate_series(1, 32000) n")


@given("the pipeline died before its commit")
@when("the pipeline dies before its commit")
def dies(world: World, memo: Memo) -> None:
    attempt(world, memo, Fault.DIES_BEFORE_COMMIT)


@given("a writer read that and fell asleep before loading it")
def sleeper(world: World, memo: Memo) -> None:
    session = world.session()
    checkpoint = world.checkpoint()
    states = world.warehouse.states(SOURCE)
    streams = {"orders": (world.streams["orders"], states["orders"].since)}
    with session.source.read(checkpoint, streams, limits=world.limits, up_to=session.source.mark()) as reader:
        batch = None
        while batch is None or batch.is_empty:
            batch = reader.next(1.0)
    session.source.close()
    memo.sleeper = (GroupLoader(session, checkpoint, states), batch)


@given("the source keeps committing")
def keeps_committing(world: World, memo: Memo) -> None:
    def write() -> None:
        number = 1_000
        with psycopg.connect(world.dsn, autocommit=True) as connection:
            while not memo.silence.is_set():
                with connection.transaction():
                    connection.execute("INSERT INTO orders VALUES (%s, 'new', 1)", [number])
                    connection.execute("UPDATE orders SET status = 'paid' WHERE id = %s", [number - 1])
                    connection.execute("DELETE FROM orders WHERE id = %s", [number - 50])
                number += 1

    memo.writer = threading.Thread(target=write)
    memo.writer.start()
