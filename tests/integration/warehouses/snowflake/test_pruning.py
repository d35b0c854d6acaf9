"""A MERGE reads only the parts of a table within the range of its keys, and finds every key that it would without."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from adapters.warehouses.snowflake.warehouse import SnowflakeWarehouse
from pipeline.domain.planning import plan_steps
from pipeline.domain.schema import Column, StreamSchema
from pipeline.domain.stream import Mode
from tests.conformance.warehouse_ground import FIRST, create, following, target_for
from tests.support.emulator import Emulator
from tests.support.told import Log, Told, change_table


@pytest.mark.parametrize("mode", [Mode.MIRROR, Mode.SOFT_DELETE])
@pytest.mark.parametrize(
    ("kind", "least", "inner", "most"),
    [
        (pa.int64(), -12, 0, 7),
        (pa.date32(), date(1965, 3, 1), date(1970, 1, 1), date(2026, 2, 28)),
        (pa.timestamp("us"), datetime(1965, 3, 1, 2, 3, 4, 5), datetime(1970, 1, 1), datetime(2026, 2, 28, 23)),
        (pa.timestamp("us", "UTC"), *(datetime(year, 3, 1, 2, 3, 4, 5, UTC) for year in (1965, 1970, 2026))),
    ],
)
def test_rows_at_both_ends_of_the_range_are_found(
    warehouse: SnowflakeWarehouse,
    emulator: Emulator,
    database: str,
    *,
    mode: Mode,
    kind: pa.DataType,
    least: object,
    inner: object,
    most: object,
) -> None:
    schema = StreamSchema([Column("id", kind, nullable=False), Column("name", pa.string())], key=("id",))
    target, log, after = create(warehouse, target_for(mode, schema)), Log(), FIRST
    batches: list[list[Told]] = [
        [log.insert(id=each, name="old") for each in (least, inner, most)],
        [log.commit().update(id=least, name="new"), log.delete(id=most)],
        [log.commit().update(id=inner, name="newer")],
    ]
    for batch in batches:
        with warehouse.load(after, following(after)) as opened:
            for step in plan_steps(target, change_table(schema, batch)):
                opened.apply(step)
            opened.commit({})
        after = following(after)
    found = warehouse.current(target).sort_by("id").to_pylist()
    assert found == [{"id": least, "name": "new"}, {"id": inner, "name": "newer"}]
    merges = [each.text for each in emulator.seen(database) if each.text.startswith('MERGE INTO "STAGING"')]
    assert [text.count('AND t."ID" BETWEEN CAST(? AS ') for text in merges] == [1, 1, 1]
