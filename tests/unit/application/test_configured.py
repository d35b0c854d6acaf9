"""A rule or mask that does not fit the columns is refused before anything is made: it would silently do nothing."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.application.configured import configuration_findings
from pipeline.application.doctor import doctor
from pipeline.application.plan import plan
from pipeline.application.sync import sync
from pipeline.domain.contract import Contract, Rule, RuleKind
from pipeline.domain.errors import ConfigError
from pipeline.domain.finding import Level
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec
from tests.support.memory_source import ORDERS
from tests.support.rig import Rig

MISTYPED_RULE = Contract(rules=(Rule(RuleKind.NOT_NULL, ("sttaus",)),))


@pytest.mark.parametrize(
    ("configured", "words"),
    [
        ({"contract": MISTYPED_RULE}, "stream orders: not_null(sttaus): the stream has no column sttaus"),
        ({"masks": {"sttaus": "hash"}}, "stream orders: The masks cannot be used: there is no column sttaus"),
    ],
)
def test_what_names_a_column_that_is_not_there_is_refused_before_the_source_keeps_a_log(
    configured: dict[str, Any], words: str
) -> None:
    rig = Rig()
    rig.stream(**configured)
    with pytest.raises(ConfigError) as raised:
        sync(rig.session())
    assert (raised.value.where, raised.value.what) == ("pipeline shop", words)
    assert (rig.database.slot, rig.warehouse.checkpoint("shop")) == (None, None)
    found = [*doctor(rig.session()), *plan(rig.session()).findings]
    assert [finding.what.rstrip(".") for finding in found if finding.level is Level.ERROR] == [
        words.removeprefix("stream orders: ")
    ] * 2


def test_a_rule_added_to_a_stream_that_is_loaded_is_refused_as_well() -> None:
    rig = Rig()
    sync(rig.session())
    rig.stream(contract=MISTYPED_RULE)
    with pytest.raises(ConfigError, match="no column sttaus"):
        sync(rig.session())


def test_a_rule_may_outlive_its_column_at_the_source() -> None:
    rig = Rig()
    rig.stream(contract=Contract(rules=(Rule(RuleKind.NOT_NULL, ("status",)),)))
    sync(rig.session())
    rig.database.schemas["orders"] = StreamSchema((ORDERS.column("id"),), key=("id",))
    sync(rig.session())


def test_rules_are_judged_over_the_columns_as_masks_leave_them() -> None:
    rule = Rule(RuleKind.PATTERN, ("id",), pattern="^[0-9a-f]{64}$")
    spec = StreamSpec(name="orders", relation="orders", source="shop", contract=Contract(rules=(rule,)))
    assert [finding.check for finding in configuration_findings(spec, ORDERS)] == ["contract"]
    masked = StreamSpec(
        name="orders", relation="orders", source="shop", contract=Contract(rules=(rule,)), masks={"id": "hash"}
    )
    assert configuration_findings(masked, ORDERS) == ()
