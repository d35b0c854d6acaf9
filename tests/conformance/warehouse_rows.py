"""Values, names, quarantine and comparing; the suite's ground is in ``warehouse_ground``."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import attrs
import pyarrow as pa
import pytest

from pipeline.domain.naming import column_names
from pipeline.domain.position import Sequence
from pipeline.domain.quarantine import SETTLED_SCHEMA, STATUS_CLOSED, Waiting
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from pipeline.domain.tables import QUARANTINE_TABLE_SCHEMA
from pipeline.ports.warehouse import Comparison, Warehouse
from tests.conformance.warehouse_ground import (
    AT,
    FIRST,
    PEOPLE,
    WarehouseHarness,
    WarehouseSuite,
    create,
    following,
    load,
    quarantine_rows,
    target_for,
)
from tests.support.tables import content
from tests.support.told import Log

_TEXTS = (
    "",
    " ",
    "a ",
    "NULL",
    "\\N",
    "\\",
    "'\"`;--",
    "a,b\tc",
    "\r\n",
    "\ufeffbom",
    "é",
    "e\u0301",
    "🔑",
    "x" * 9999,
)

#: Every type a column may have, with values that are easily lost.
VALUES: dict[str, tuple[pa.DataType, tuple[object, ...]]] = {
    "bool": (pa.bool_(), (True, False)),
    "int16": (pa.int16(), (-(2**15), 0, 2**15 - 1)),
    "int32": (pa.int32(), (-(2**31), 0, 2**31 - 1)),
    "int64": (pa.int64(), (-(2**63), 0, 2**63 - 1)),
    "float32": (pa.float32(), (math.nan, math.inf, -math.inf, -0.0, 0.0, 1.401298464324817e-45)),
    "float64": (pa.float64(), (math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 0.1, 1.7976931348623157e308)),
    "decimal": (
        pa.decimal128(38, 9),
        tuple(map(Decimal, ("0", "-0.000000001", "99999999999999999999999999999.999999999"))),
    ),
    "integral decimal": (pa.decimal128(38, 0), (Decimal(10**38 - 1), Decimal(-(10**38) + 1))),
    "text": (pa.string(), _TEXTS),
    "binary": (pa.binary(), (b"", b"\0", b"\xff\xfe", b"\\x00", bytes(range(256)))),
    "date": (pa.date32(), (dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(9999, 12, 31))),
    "time": (pa.time64("us"), (dt.time(0), dt.time(23, 59, 59, 999_999))),
    "timestamp": (pa.timestamp("us"), (dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999))),
    "zoned": (pa.timestamp("us", tz="UTC"), (dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC), AT)),
    "list": (pa.list_(pa.int64()), ([], [1, None, 2**63 - 1])),
    "list of text": (pa.list_(pa.string()), ([], ["", None, "'\""])),
}


class WarehouseRowsConformance(WarehouseSuite):
    """No value is changed, nothing in quarantine is lost, and comparing tells the truth."""

    @pytest.mark.parametrize("mode", list(Mode))
    @pytest.mark.parametrize("name", list(VALUES))
    def test_every_value_comes_back_as_it_was(self, warehouse: Warehouse, name: str, mode: Mode) -> None:
        kind, values = VALUES[name]
        schema = StreamSchema([Column("id", pa.int64()), Column("value", kind)], key=("id",))
        target, log = create(warehouse, target_for(mode, schema)), Log()
        rows = [{"id": number, "value": value} for number, value in enumerate((None, *values))]
        load(warehouse, target, [log.insert(**row) for row in rows])
        expected = content(pa.Table.from_pylist(rows, schema=schema.arrow()))
        assert content(warehouse.current(target)) == expected
        assert content(warehouse.rows(target).select(schema.names)) == expected
        assert content(warehouse.changelog(target).select(schema.names)) == expected

    @pytest.mark.parametrize("mode", list(Mode))
    def test_json_documents_come_back_as_they_were_written(
        self, warehouse: Warehouse, harness: WarehouseHarness, mode: Mode
    ) -> None:
        schema = StreamSchema([Column("id", pa.int64()), Column("doc", pa.string(), json=True)], key=("id",))
        target, log = create(warehouse, target_for(mode, schema)), Log()
        texts = (None, "null", '""', '{"b": 1,  "a": 123456789012345678901234567890}', "[1.0, 1.00]", '"\\u00e9"')
        rows = [{"id": number, "doc": text} for number, text in enumerate(texts)]
        load(warehouse, target, [log.insert(**row) for row in rows])
        found = {row["id"]: harness.document(row["doc"]) for row in warehouse.current(target).to_pylist()}
        assert found == {number: harness.document(text) for number, text in enumerate(texts)}

    @pytest.mark.parametrize("mode", [Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY])
    def test_keys_that_look_alike_stay_apart(self, warehouse: Warehouse, mode: Mode) -> None:
        schema = StreamSchema([Column("a", pa.string()), Column("b", pa.string())], key=("a", "b"))
        target, log = create(warehouse, target_for(mode, schema)), Log()
        rows = [{"a": a, "b": b} for a in ("", " ", "a", "A", "a ", "é", "e\u0301", "ab") for b in ("", "b", "B")]
        checkpoint = load(warehouse, target, [log.insert(**row) for row in rows])
        gone = {"a": "e\u0301", "b": "B"}
        load(warehouse, target, [log.commit().delete(**gone)], after=checkpoint)
        expected = pa.Table.from_pylist([row for row in rows if row != gone], schema=schema.arrow())
        assert content(warehouse.current(target)) == content(expected)

    @pytest.mark.parametrize("mode", list(Mode))
    def test_names_may_be_anything(self, warehouse: Warehouse, mode: Mode) -> None:
        sources = ("select", "Order", "order", 'a"b', "a'b", "a b", "🔑", "é", "_cdc_op", "x" * 63, "?", "$1", "rowid")
        names = list(column_names(sources).values())
        schema = StreamSchema([Column(name, pa.int64()) for name in names], key=(names[0], names[3]))
        target, log = create(warehouse, target_for(mode, schema)), Log()
        row = {name: number for number, name in enumerate(names)}
        checkpoint = load(warehouse, target, [log.insert(**row)])
        changed = {**row, names[1]: 99}
        del changed["🔑"]
        load(warehouse, target, [log.commit().update(unchanged=("🔑",), **changed)], after=checkpoint)
        if mode is Mode.APPEND:
            assert warehouse.current(target).num_rows == 2
        else:
            assert warehouse.current(target).to_pylist() == [{**row, names[1]: 99}]

    def test_quarantined_rows_wait_until_they_are_settled(self, warehouse: Warehouse) -> None:
        target, first = create(warehouse, target_for()), following(FIRST)
        second, third = following(first), following(following(first))
        with warehouse.load(FIRST, first) as opened:
            opened.quarantine(target, quarantine_rows((1, 10), (2, 20), (3, 30)))
            opened.commit({})
        assert warehouse.waiting(target) == Waiting(frozenset({'{"id":1}', '{"id":2}', '{"id":3}'}))
        settled = [('{"id":1}', 11), ('{"id":2}', 20)]
        with warehouse.load(first, second) as opened:
            opened.settle(target, _settled(*settled))
            opened.commit({})
        assert warehouse.waiting(target) == Waiting(frozenset({'{"id":2}', '{"id":3}'}))
        with warehouse.load(second, third) as opened:
            opened.settle(target, _settled((None, 25)))
            opened.commit({})
        assert warehouse.waiting(target) == Waiting(frozenset({'{"id":3}'}))
        waits = {"status": "waiting", "load": 1, "quarantined_at": first.at, "settled_load": None, "settled_at": None}
        closed = {**waits, "status": STATUS_CLOSED}
        added = [
            {**closed, "settled_load": 2, "settled_at": second.at},
            {**closed, "settled_load": 3, "settled_at": third.at},
            waits,
        ]
        rows = quarantine_rows((1, 10), (2, 20), (3, 30)).to_pylist()
        expected = [{**row, **more} for row, more in zip(rows, added, strict=True)]
        assert content(warehouse.quarantined(target)) == content(
            pa.Table.from_pylist(expected, schema=QUARANTINE_TABLE_SCHEMA)
        )

    def test_rows_quarantined_and_settled_in_one_load_are_settled(self, warehouse: Warehouse) -> None:
        target = create(warehouse, target_for())
        with warehouse.load(FIRST, following(FIRST)) as opened:
            opened.quarantine(target, quarantine_rows((1, 10)))
            opened.settle(target, _settled(('{"id":1}', 11)))
            opened.quarantine(target, quarantine_rows((1, 12)))
            opened.commit({})
        assert sorted(warehouse.quarantined(target)["status"].to_pylist()) == ["closed", "waiting"]

    def test_a_copy_supersedes_what_waits(self, warehouse: Warehouse) -> None:
        target, first = create(warehouse, target_for()), following(FIRST)
        with warehouse.load(FIRST, first) as opened:
            opened.quarantine(target, quarantine_rows((1, 10)))
            opened.commit({})
        load(warehouse, target, [Log().snapshot(id=1, name="a")], after=first, is_copy=True)
        assert warehouse.waiting(target) == Waiting()
        assert warehouse.quarantined(target)["status"].to_pylist() == ["superseded"]

    @pytest.mark.parametrize("mode", [Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY])
    def test_equal_rows_compare_equal(self, warehouse: Warehouse, mode: Mode) -> None:
        schema = StreamSchema([Column("id", pa.int64()), Column("n", pa.float64()), Column("t", pa.string())], ("id",))
        target, log = create(warehouse, target_for(mode, schema)), Log()
        rows = [(1, math.nan, None), (2, -0.0, ""), (3, None, "a"), (4, math.inf, "\\N")]
        named = [dict(zip(schema.names, row, strict=True)) for row in rows]
        load(warehouse, target, [log.insert(**row) for row in [*named, {"id": 5}]] + [log.commit().delete(id=5)])
        named[1]["n"] = 0.0
        tables = [pa.Table.from_pylist(part, schema=schema.arrow()) for part in (named[:3], named[3:])]
        assert warehouse.compare(target, tables) == Comparison(4, 0, 0, 0)
        mended, extra = warehouse.differences(target, tables)
        assert (mended.num_rows, extra.num_rows) == (0, 0)
        assert warehouse.compare(target, []) == Comparison(0, 0, 4, 0, tuple(f'{{"id":{n}}}' for n in (1, 2, 3, 4)))

    @pytest.mark.parametrize("mode", [Mode.MIRROR, Mode.SOFT_DELETE, Mode.HISTORY])
    def test_each_difference_is_counted_named_and_given_for_repair(self, warehouse: Warehouse, mode: Mode) -> None:
        target, log = create(warehouse, target_for(mode)), Log()
        held = ((1, "same"), (2, ""), (3, "extra"), (4, None), (5, "a"))
        load(warehouse, target, [log.insert(id=number, name=name) for number, name in held])
        wanted = pa.Table.from_pylist(
            [{"id": n, "name": name} for n, name in ((1, "same"), (2, None), (4, ""), (5, "a "), (6, "missing"))],
            schema=PEOPLE.arrow(),
        )
        found = warehouse.compare(target, [wanted])
        assert attrs.evolve(found, keys=tuple(sorted(found.keys))) == Comparison(
            compared_count=5,
            missing_count=1,
            extra_count=1,
            changed_count=3,
            keys=('{"id":2}', '{"id":3}', '{"id":4}', '{"id":5}', '{"id":6}'),
        )
        assert len(warehouse.compare(target, [wanted], sample=2).keys) == 2
        mended, extra = warehouse.differences(target, [wanted])
        assert content(mended) == content(wanted.slice(1))
        assert extra.to_pylist() == [{"id": 3}]

    def test_keys_that_wait_in_quarantine_are_not_compared(self, warehouse: Warehouse) -> None:
        target, log = create(warehouse, target_for()), Log()
        checkpoint = load(warehouse, target, [log.insert(id=1, name="a"), log.insert(id=2, name="b")])
        with warehouse.load(checkpoint, following(checkpoint)) as opened:
            opened.quarantine(target, quarantine_rows((2, Sequence(0, 200, 1, 0).pack()), (3, 7)))
            opened.commit({})
        rows = [{"id": 1, "name": "a"}, {"id": 2, "name": "changed"}, {"id": 3, "name": "missing"}]
        wanted = pa.Table.from_pylist(rows, schema=PEOPLE.arrow())
        assert warehouse.compare(target, [wanted]) == Comparison(1, 0, 0, 0)
        assert [part.num_rows for part in warehouse.differences(target, [wanted])] == [0, 0]

    def test_a_stream_without_a_key_keeps_rows_that_are_alike(self, warehouse: Warehouse) -> None:
        schema = StreamSchema([Column("a", pa.string())])
        target, log = create(warehouse, target_for(Mode.APPEND, schema)), Log()
        load(warehouse, target, [log.insert(a="x"), log.insert(a="x"), log.insert(a=None)])
        rows = pa.table({"a": ["x", None, "x"]}, schema=schema.arrow())
        assert content(warehouse.current(target)) == content(rows)
        assert warehouse.compare(target, [rows]).is_equal
        assert warehouse.compare(target, [rows.slice(1)]).extra_count == 1


def _settled(*rows: tuple[str | None, int]) -> pa.Table:
    keys, before = [row[0] for row in rows], [row[1] for row in rows]
    return pa.table([keys, before, [STATUS_CLOSED] * len(rows)], schema=SETTLED_SCHEMA)
