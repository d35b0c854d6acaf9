"""Files whose rows have a declared key: which row counts, what is deleted, and what waits that lacks it."""

from __future__ import annotations

import time

import pytest

from pipeline.domain.contract import Contract, OnMisfit
from pipeline.domain.counts import StreamCounts
from tests.support.folder_rig import FolderRig

HEADER = "id,name\n"


@pytest.mark.parametrize("left_out", [("file_column", "line_column"), ("line_column",)])
def test_bad_rows_tell_their_place_where_no_column_does(rig: FolderRig, left_out: tuple[str, ...]) -> None:
    rig.put("a.csv", "id,name,price\n1,apple,2\n2,pear,cheap\n,fig,3\n4\n")
    columns = {"id": "int", "name": "text", "price": "float"}
    rig.read = {"key": ["id"], "columns": columns, **dict.fromkeys(left_out)}
    rig.run()
    assert rig.rows("id", "name") == [(1, "apple")]
    told = {row["reasons"][0]: row["row"] for row in rig.quarantined()}
    assert '"price":"a.csv, line 3: cheap"' in told["misfit(price): value that the column's type cannot hold"]
    assert '"id":"a.csv, line 4: "' in told["misfit(id): no value in a column of the key"]
    assert '"id":"a.csv, line 5: 4"' in told["misfit(id): wrong number of fields"]


def test_a_row_with_a_bad_value_does_not_change_by_standing_elsewhere(rig: FolderRig) -> None:
    rig.contract = Contract(on_misfit=OnMisfit.NULL)
    rig.put("a.csv", "id,price\n1,cheap\n")
    columns = {"id": "int", "price": "float"}
    rig.read = {"key": ["id"], "columns": columns, "file_column": None, "line_column": None, "removed": "delete"}
    rig.run()
    rig.put("a.csv", "id,price\n2,5\n1,cheap\n")
    assert rig.changed().changelog_count == 1
    assert rig.rows("id", "price") == [(1, None), (2, 5.0)]


def test_with_a_key_rows_of_later_files_win_and_rows_of_removed_files_stay(rig: FolderRig) -> None:
    rig.read = {"key": ["id"]}
    rig.put("b.csv", f"{HEADER}1,old\n2,pear\n", modified=time.time() - 300)
    rig.put("a.csv", f"{HEADER}1,new\n", modified=time.time() - 200)
    rig.run()
    assert rig.rows("id", "name", "_file") == [(1, "new", "a.csv"), (2, "pear", "b.csv")]
    rig.put("c.csv", f"{HEADER}2,pomelo\n3,fig\n", modified=time.time() - 100)
    (rig.drop / "b.csv").unlink()
    rig.run()
    assert rig.rows("id", "name", "_file") == [(1, "new", "a.csv"), (2, "pomelo", "c.csv"), (3, "fig", "c.csv")]


def test_with_a_key_and_deletes_a_row_that_no_file_has_any_more_is_gone(rig: FolderRig) -> None:
    rig.read = {"key": ["id"], "removed": "delete", "file_column": None, "line_column": None}
    rig.put("a.csv", f"{HEADER}1,apple\n2,pear\n")
    rig.put("b.csv", f"{HEADER}3,fig\n4,plum\n")
    rig.run()
    rig.put("a.csv", f"{HEADER}2,pear\n5,lime\n")
    counts = rig.changed()
    assert rig.rows("id", "name") == [(2, "pear"), (3, "fig"), (4, "plum"), (5, "lime")]
    assert counts.read_count == 2, "one row came and one went; those that stayed are told from the changed ones"
    assert rig.changed() == StreamCounts()
    assert rig.verify().is_equal


def test_while_a_file_cannot_be_read_its_rows_are_not_taken_for_gone(rig: FolderRig) -> None:
    rig.read = {"key": ["id"], "removed": "delete", "file_column": None, "line_column": None}
    rig.put("a.csv", f"{HEADER}1,apple\n")
    rig.put("b.csv", f"{HEADER}3,fig\n")
    rig.run()
    rig.put("a.csv", b"")
    rig.put("b.csv", f"{HEADER}4,plum\n")
    rig.run()
    assert rig.rows("id", "name") == [(1, "apple"), (3, "fig"), (4, "plum")]
    assert [row["row"] for row in rig.quarantined()] == ['{"id":"a.csv, line 0: a.csv","name":null}']
    rig.put("a.csv", f"{HEADER}1,apricot\n", modified=time.time() - 30)
    rig.run()
    assert rig.rows("id", "name") == [(1, "apricot"), (4, "plum")]


@pytest.mark.parametrize("removed", ["keep", "delete"])
@pytest.mark.parametrize("columns", [{}, {"file_column": None, "line_column": None}])
def test_with_a_key_what_waits_of_a_file_is_closed_once_it_was_mended(
    rig: FolderRig, removed: str, columns: dict[str, object]
) -> None:
    rig.read = {"key": ["id"], "removed": removed, "columns": {"id": "int", "name": "text"}, **columns}
    rig.put("a.csv", f"{HEADER}1,apple\n2\nx,fig\n,lime\n")
    rig.put("b.csv", b"")
    rig.put("c.csv", f"{HEADER}3\n")
    rig.run()
    places = ["a.csv, line 3", "a.csv, line 4", "a.csv, line 5", "b.csv, line 0", "c.csv, line 2"]
    assert sorted(row["key"] for row in rig.quarantined()) == [f'{{"id":"{place}"}}' for place in places]
    later = time.time() - 30
    rig.put("a.csv", f"{HEADER}1,apple\n2,pear\nx,fig\n5\n6,lime\n", modified=later)
    rig.put("b.csv", f"{HEADER}7,plum\n", modified=later)
    counts = rig.changed()
    assert counts.is_balanced
    assert counts.discarded_count == 2
    waiting = {row["key"] for row in rig.quarantined()}
    assert waiting == {f'{{"id":"{place}"}}' for place in (places[1], places[2], places[4])}
    assert {row["key"] for row in rig.quarantined("closed")} == {f'{{"id":"{place}"}}' for place in places[::3]}
    rig.put("a.csv", f"{HEADER}1,apple\n2,pear\n4,fig\n5,nut\n6,lime\n", modified=later + 1)
    rig.put("c.csv", f"{HEADER}3,kiwi\n", modified=later + 1)
    rig.run()
    assert rig.quarantined() == []
    fruits = ["apple", "pear", "kiwi", "fig", "nut", "lime", "plum"]
    assert rig.rows("id", "name") == list(enumerate(fruits, start=1))
    assert rig.changed() == StreamCounts()
    assert rig.verify().is_equal


def test_a_line_without_its_key_that_moved_waits_where_it_stands_now(rig: FolderRig) -> None:
    no_places = {"file_column": None, "line_column": None}
    rig.read = {"key": ["id"], "removed": "delete", "columns": {"id": "int", "name": "text"}, **no_places}
    rig.put("a.csv", f"{HEADER}x,fig\n")
    rig.run()
    rig.put("a.csv", f"{HEADER}1,apple\nx,fig\n", modified=time.time() - 30)
    rig.run()
    assert [row["key"] for row in rig.quarantined()] == ['{"id":"a.csv, line 3"}']


def test_with_a_key_what_waits_of_a_removed_file_is_closed_where_its_rows_are_deleted(rig: FolderRig) -> None:
    rig.read = {"key": ["id"], "removed": "delete", "columns": {"id": "int", "name": "text"}}
    rig.put("a.csv", f"{HEADER}1,apple\n")
    rig.put("b.csv", f"{HEADER}x,pear\n")
    rig.run()
    assert len(rig.quarantined()) == 1
    (rig.drop / "b.csv").unlink()
    rig.run()
    assert rig.quarantined() == []


def test_a_line_that_lacks_its_key_again_waits_again_though_nothing_could_be_taken_for_gone(rig: FolderRig) -> None:
    rig.read = {"key": ["id"], "removed": "delete", "columns": {"id": "int", "name": "text"}}
    broken, mended = f"{HEADER}1,apple\n,pear\n", f"{HEADER}1,apple\n2,pear\n"
    rig.put("bad.csv", b"")
    rig.put("a.csv", broken)
    rig.run()
    waiting = sorted(row["key"] for row in rig.quarantined())
    for number, content in enumerate((mended, broken)):
        rig.put("a.csv", content, modified=time.time() - 30 + number)
        rig.run()
    assert sorted(row["key"] for row in rig.quarantined()) == waiting
    assert len(rig.quarantined("closed")) == 1


def test_lines_that_lack_the_key_are_told_apart_up_to_a_number(rig: FolderRig) -> None:
    rig.read = {"key": ["id"], "columns": {"id": "int", "name": "text"}}
    rig.put("a.csv", HEADER + ",pear\n1,apple\n" * 2_000)
    rig.run()
    assert {row["key"] for row in rig.quarantined()} == {'{"id":""}'}
    assert len(rig.quarantined()) == 2_000


def test_a_row_without_its_key_waits_in_quarantine(rig: FolderRig) -> None:
    rig.read = {"key": ["id"]}
    rig.put("a.csv", f"{HEADER}1,apple\n,pear\n")
    rig.run()
    assert rig.rows("id", "name") == [(1, "apple")]
    assert [row["reasons"] for row in rig.quarantined()] == [["misfit(id): no value in a column of the key"]]
