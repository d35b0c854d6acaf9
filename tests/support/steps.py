"""The steps of the features, in the words of the design."""

from __future__ import annotations

import json
import threading
from decimal import Decimal
from typing import Any

import attrs
import psycopg
import pytest
from pytest_bdd import given, parsers, then, when

from pipeline.application.loader import GroupLoader
from pipeline.application.stream import stream
from pipeline.domain.contract import Contract, OnMisfit, Rule, RuleKind, Severity
from pipeline.domain.errors import ContractBroken, Fenced, PipelineError
from pipeline.domain.events import BatchApplied, CopyFinished
from pipeline.domain.stream import Mode
from tests.support.faults import Died, Fault, FaultyWarehouse
from tests.support.world import SOURCE, World

ORDERS = "CREATE TABLE orders (id int PRIMARY KEY, status text, amount numeric(12,2))"
STATUSES = ("new", "paid", "sent")


@attrs.define
class Memo:
    """What a scenario remembers between its steps."""

    error: PipelineError | None = None
    checkpoint: Any = None
    sleeper: Any = None
    copies: int = 0
    writer: threading.Thread | None = None
    silence: threading.Event = attrs.field(factory=threading.Event)


@pytest.fixture
def memo() -> Memo:
    return Memo()


def table(datatable: list[list[str]]) -> list[dict[str, str]]:
    head, *rows = datatable
    return [dict(zip(head, row, strict=True)) for row in rows]


def literal(value: str) -> str:
    return "NULL" if value in {"", "null"} else "'" + value.replace("'", "''") + "'"


def statement(change: dict[str, str]) -> str:
    kind, key = change["change"], literal(change["id"])
    if kind == "insert":
        return f"INSERT INTO orders VALUES ({key}, {literal(change['status'])}, {literal(change['amount'])})"
    if kind == "update":
        values = f"status = {literal(change['status'])}, amount = {literal(change['amount'])}"
        return f"UPDATE orders SET {values} WHERE id = {key}"
    if kind == "rekey":
        return f"UPDATE orders SET id = {literal(change['new id'])} WHERE id = {key}"
    if kind == "delete":
        return f"DELETE FROM orders WHERE id = {key}"
    assert kind == "truncate", kind
    return "TRUNCATE orders"


def shown(world: World) -> list[tuple[str, ...]]:
    rows = world.staging("orders").to_pylist()
    return sorted(tuple(text(row[name]) for name in ("id", "status", "amount")) for row in rows)


def text(value: object) -> str:
    return "null" if value is None else str(value)


def source_rows(world: World) -> list[tuple[str, ...]]:
    return sorted(tuple(text(value) for value in row) for row in world.rows("SELECT id, status, amount FROM orders"))


def attempt(world: World, memo: Memo, fault: Fault | None = None) -> None:
    memo.checkpoint = world.checkpoint()
    warehouse = FaultyWarehouse(world.warehouse, fault) if fault else None
    try:
        world.run(warehouse=warehouse)  # type: ignore[arg-type] # hands everything on
    except Died:
        assert fault is not None
    except (ContractBroken, Fenced) as error:
        memo.error = error


# --- Given


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


# --- When


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
        stream(session, with_transform=False)
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


# --- Then


@then("the staging table shows")
@then("the staging table still shows")
def staging_shows(world: World, datatable: list[list[str]]) -> None:
    assert shown(world) == sorted(tuple(row.values()) for row in table(datatable))


@then("the staging table equals the source table")
def staging_equals_source(world: World) -> None:
    assert shown(world) == source_rows(world)


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


@then("all rows of the staging table are")
def all_rows(world: World, datatable: list[list[str]]) -> None:
    rows = sorted(
        (text(row["id"]), text(row["status"]), text(row["amount"]), "yes" if row["_cdc_deleted"] else "no")
        for row in world.all_rows("orders")
    )
    assert rows == [tuple(row.values()) for row in table(datatable)]


@then("the versions in the staging table are")
def versions(world: World, datatable: list[list[str]]) -> None:
    rows = sorted(world.all_rows("orders"), key=lambda row: (row["id"], row["_cdc_valid_from"]))
    found = [(text(row["id"]), text(row["status"]), "yes" if row["_cdc_current"] else "no") for row in rows]
    assert found == [tuple(row.values()) for row in table(datatable)]


@then("the intervals of a key never overlap")
def no_overlap(world: World) -> None:
    ends: dict[int, Decimal] = {}
    for row in sorted(world.all_rows("orders"), key=lambda row: (row["id"], row["_cdc_valid_from"])):
        assert row["_cdc_valid_from"] >= ends.get(row["id"], Decimal(0))
        assert row["_cdc_valid_to"] is None or row["_cdc_valid_to"] > row["_cdc_valid_from"]
        ends[row["id"]] = row["_cdc_valid_to"] or Decimal("Infinity")


@then("the staging table has the changes")
def changes_are(world: World, datatable: list[list[str]]) -> None:
    rows = sorted(world.all_rows("orders"), key=lambda row: row["_cdc_sequence"])
    assert [(row["_cdc_op"], text(row["id"])) for row in rows] == [tuple(row.values()) for row in table(datatable)]


@then(parsers.parse("the staging table is as if its mode had always been {mode}"))
def as_if_always(world: World, mode: str) -> None:
    columns = ("id", "status", "amount", "_cdc_op", "_cdc_deleted", "_cdc_current", "_cdc_sequence", "_cdc_valid_to")
    found = sorted(str([row[name] for name in columns]) for row in world.all_rows("orders"))
    log = world.changelog("orders")
    sequence = {(row["_cdc_op"], row["id"]): row["_cdc_sequence"] for row in log}
    first, second = sequence["snapshot", 1], sequence["snapshot", 2]
    paid, gone = sequence["update", 1], sequence["delete", 2]
    ten, twenty = Decimal("10.00"), Decimal("20.00")
    expected = {
        "soft_delete": [
            [1, "paid", ten, "update", False, True, paid, None],
            [2, "new", twenty, "delete", True, True, gone, None],
        ],
        "history": [
            [1, "new", ten, "snapshot", False, False, first, paid],
            [1, "paid", ten, "update", False, True, paid, None],
            [2, "new", twenty, "snapshot", False, False, second, gone],
        ],
        "append": [
            [1, "new", ten, "snapshot", False, True, first, None],
            [2, "new", twenty, "snapshot", False, True, second, None],
            [1, "paid", ten, "update", False, True, paid, None],
            [2, None, None, "delete", True, True, gone, None],
        ],
    }[mode]
    assert found == sorted(str(row) for row in expected)


@then("the source table was not read again")
def not_read_again(world: World, memo: Memo) -> None:
    assert len(world.recorder.of(CopyFinished)) == memo.copies


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
