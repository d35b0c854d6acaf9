"""Rows of systems without a log: values, keys, bad rows, rows that are gone (A, E, I2)."""

from __future__ import annotations

import pytest

from pipeline.domain.errors import ConfigError, PipelineError, SourceRejected
from pipeline.domain.events import CopyFinished
from pipeline.domain.stream import Mode
from tests.support.polled_systems import FolderSystem
from tests.support.polled_world import PolledWorld

TEXTS = ["", " ", "a\r\nb\tc", "\"quoted\", \\N and 'single'", "\ufeffmark", "NULL", "null", "é", "e\u0301", "😀" * 50]
NUMBERS = [0.1, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53, None]


def test_values_and_keys_that_only_look_alike_stay_what_they_are(polled: PolledWorld) -> None:
    """A15, E5, E7."""
    polled.system.columns = {"id": "int64", "code": "text", "note": "text", "amount": "double", "paid": "bool"}
    polled.system.key = ("id", "code")
    codes = ["a", "A", "a ", "", "é", "e\u0301"]
    for number, text in enumerate([*TEXTS, None]):
        amount = NUMBERS[number % len(NUMBERS)]
        polled.system.rows.append(
            {"id": 1, "code": f"{number}{codes[number % 6]}", "note": text, "amount": amount, "paid": number % 2 == 0}
        )
    polled.system.rows += [{"id": 2**63 - 1, "code": code, "note": None, "amount": 1.0, "paid": None} for code in codes]
    polled.system.publish()
    polled.run()
    assert polled.staged() == polled.shown()
    polled.system.put({"id": 2**63 - 1, "code": "a ", "note": "this one", "amount": 1.0, "paid": None})
    assert polled.loaded() == 1
    assert polled.staged() == polled.shown()
    assert polled.verify().is_equal


@pytest.mark.parametrize("system", ["sqlite", "postgresql", "files"], indirect=True)
def test_of_two_rows_that_are_alike_one_remains_if_the_other_is_deleted(polled: PolledWorld) -> None:
    """A12."""
    polled.system.key = ()
    if isinstance(polled.system, FolderSystem):
        polled.system.more = {"file_column": "_file", "line_column": "_line"}
    alike = {"id": 1, "note": "twin", "amount": 0.5}
    polled.system.rows[:] = [alike, {"id": 2, "note": None, "amount": None}, dict(alike), {**alike, "note": "other"}]
    polled.system.publish()
    polled.run()
    assert polled.staged() == polled.shown()
    del polled.system.rows[0]
    polled.system.publish()
    polled.run()
    assert polled.staged() == polled.shown()
    assert polled.loaded() == 0
    assert polled.verify().is_equal


@pytest.mark.parametrize("system", ["rest"], indirect=True)
def test_records_without_a_key_are_refused_but_where_they_are_appended(polled: PolledWorld) -> None:
    """A12."""
    polled.system.key = ()
    polled.system.more = {"deletes": "replace"}
    polled.system.rows[:] = [{"id": 1, "note": "twin", "amount": 0.5}] * 2
    polled.system.publish()
    with pytest.raises(ConfigError, match="no key"):
        polled.run()
    polled.mode = Mode.APPEND
    polled.run()
    assert polled.staged() == polled.shown()
    assert polled.loaded() == 0


def test_history_has_a_version_for_each_change_that_was_seen_and_none_for_others(polled: PolledWorld) -> None:
    """A5, A9, A10, A11, G8."""
    polled.mode = Mode.HISTORY
    polled.system.put(*({"id": number, "note": "a", "amount": 1.0} for number in range(1, 6)))
    polled.run()
    polled.system.put({"id": 1, "note": "b", "amount": 1.0})
    polled.run()
    polled.system.publish()
    assert polled.loaded() == 0
    polled.system.remove(1)
    polled.system.put({"id": 6, "note": "a", "amount": 1.0})
    polled.run()
    polled.system.put({"id": 1, "note": "c", "amount": 1.0})
    polled.run()
    versions = sorted((row for row in polled.all_rows() if row["id"] == 1), key=lambda row: row["_cdc_valid_from_at"])
    assert [(row["note"], row["_cdc_current"]) for row in versions] == [("a", False), ("b", False), ("c", True)]
    ends = [(row["_cdc_valid_from_at"], row["_cdc_valid_to_at"]) for row in versions]
    assert all(begun < ended for begun, ended in ends[:-1])
    assert ends[0][1] == ends[1][0]
    assert ends[1][1] <= ends[2][0]
    assert ends[2][1] is None
    polled.mode = Mode.MIRROR
    assert polled.loaded() == 0
    assert polled.staged() == polled.shown()
    assert len(polled.recorder.of(CopyFinished)) == 1


def test_one_bad_value_among_many_sets_its_row_apart_until_it_is_mended(polled: PolledWorld) -> None:
    """E9."""
    polled.system.columns |= {"due": "timestamptz"}
    rows = [{"id": number, "note": f"row {number}", "amount": number / 2, "due": None} for number in range(1, 501)]
    rows[250]["due"] = "infinity"
    polled.system.put(*rows[:400])
    polled.run()
    polled.system.put(*rows)
    polled.run()
    assert polled.staged("id") == [
        (number,) for number in sorted(range(1, 501), key=lambda n: f"({n},)") if number != 251
    ]
    [waiting] = polled.quarantined()
    assert waiting["key"] == '{"id":251}'
    assert "infinity" in waiting["row"]
    assert polled.verify().is_equal
    polled.system.put({**rows[250], "due": None})
    polled.run()
    assert polled.quarantined() == []
    assert polled.staged() == polled.shown()


def test_rows_that_are_gone_are_found_and_none_by_a_reading_that_broke_off(polled: PolledWorld) -> None:
    """I2, I3, I4."""
    everything = [{"id": number, "note": f"row {number}" * 20, "amount": 0.5} for number in range(1, 61)]
    polled.system.put(*everything)
    polled.run()
    before, position = polled.staged(), polled.checkpoint().position
    polled.system.rows[:] = everything[:40]
    with polled.system.breaking_off():
        try:
            polled.run()
        except PipelineError:
            assert polled.checkpoint().position == position
        else:
            assert [row["reasons"] for row in polled.quarantined()], "a file that ends too early is told of"
    assert polled.staged() == before
    polled.run()
    assert polled.staged() == polled.shown()
    polled.system.rows[:] = everything[:10]
    polled.system.publish()
    with pytest.raises(SourceRejected) as refused:
        polled.run()
    assert refused.value.facts == {"case": "vanished", "vanished_count": 30, "known_count": 40}
    assert len(polled.staged()) == 40
    polled.system.more = {"max_vanished": 0.75}
    assert polled.loaded() == 30
    assert polled.staged() == polled.shown()
