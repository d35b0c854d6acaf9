"""A local folder as a source into DuckDB: the warehouse holds what the files show, line by line (SCENARIOS I4)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.domain.counts import StreamCounts
from pipeline.domain.errors import ConfigError, SourceRejected
from pipeline.domain.stream import Mode
from tests.support.folder_rig import FolderRig

HEADER = "id,name\n"


def test_a_first_copy_holds_every_line_of_every_file_and_nothing_is_loaded_twice(rig: FolderRig) -> None:
    rig.put("a.csv", f"{HEADER}1,apple\n2,pear\n")
    rig.put("b.csv", f"{HEADER}3,fig\n")
    rig.run()
    assert rig.rows("id", "name", "_file", "_line") == [
        (1, "apple", "a.csv", 2),
        (2, "pear", "a.csv", 3),
        (3, "fig", "b.csv", 2),
    ]
    assert rig.changed() == StreamCounts()
    assert rig.verify().is_equal


def test_new_changed_and_removed_files_are_told_apart(rig: FolderRig) -> None:
    rig.put("a.csv", f"{HEADER}1,apple\n2,pear\n")
    rig.put("b.csv", f"{HEADER}3,fig\n")
    rig.put("same.csv", f"{HEADER}9,quince\n")
    rig.run()
    rig.put("a.csv", f"{HEADER}1,apricot\n")
    rig.put("c.csv", f"{HEADER}4,plum\n")
    (rig.drop / "b.csv").unlink()
    counts = rig.changed()
    assert rig.rows("id", "name", "_file") == [(1, "apricot", "a.csv"), (4, "plum", "c.csv"), (9, "quince", "same.csv")]
    assert counts.read_count == 4, "one line changed, one gone with it, one new, one gone with its file"
    assert rig.verify().is_equal


def test_a_renamed_file_moves_its_lines(rig: FolderRig) -> None:
    rig.put("a.csv", f"{HEADER}1,apple\n")
    rig.put("b.csv", f"{HEADER}2,pear\n")
    rig.run()
    (rig.drop / "a.csv").rename(rig.drop / "z.csv")
    rig.run()
    assert rig.rows("id", "_file") == [(1, "z.csv"), (2, "b.csv")]
    assert rig.verify().is_equal


def test_two_files_of_one_second_and_one_overwritten_in_it_with_the_same_size_are_all_seen(rig: FolderRig) -> None:
    now = float(int(time.time()) - 60)
    rig.put("a.csv", f"{HEADER}1,apple\n", modified=now + 0.1)
    rig.put("b.csv", f"{HEADER}2,lemon\n", modified=now + 0.1)
    rig.run()
    rig.put("a.csv", f"{HEADER}1,grape\n", modified=now + 0.2)
    assert rig.changed().read_count == 1
    assert rig.rows("id", "name") == [(1, "grape"), (2, "lemon")]


def test_a_file_moved_over_another_of_the_same_size_and_time_is_seen(rig: FolderRig) -> None:
    at = time.time() - 60
    rig.put("a.csv", f"{HEADER}1,apple\n", modified=at)
    rig.run()
    rig.put(".a.new", f"{HEADER}1,grape\n", modified=at)
    (rig.drop / ".a.new").rename(rig.drop / "a.csv")
    rig.run()
    assert rig.rows("id", "name") == [(1, "grape")]


def test_a_file_that_is_still_written_waits_and_keeps_the_rows_it_had(rig: FolderRig) -> None:
    rig.read = {"min_age_s": 30.0}
    rig.put("a.csv", f"{HEADER}1,apple\n")
    rig.run()
    rig.put("a.csv", f"{HEADER}1,ap", modified=time.time())
    rig.put("b.csv", f"{HEADER}2,pe", modified=time.time())
    assert rig.changed() == StreamCounts()
    assert rig.rows("id", "name") == [(1, "apple")]
    rig.put("a.csv", f"{HEADER}1,apricot\n", modified=time.time() - 31)
    rig.put("b.csv", f"{HEADER}2,pear\n", modified=time.time() - 31)
    rig.run()
    assert rig.rows("id", "name") == [(1, "apricot"), (2, "pear")]


def test_a_file_from_the_future_of_another_clock_is_read_once_it_was_watched_for_long_enough(rig: FolderRig) -> None:
    rig.read = {"min_age_s": 0.3}
    rig.put("a.csv", f"{HEADER}1,apple\n", modified=time.time() + 3600)
    session = rig.session()
    before = session.source.preview(rig.spec, limit=10).num_rows
    deadline = time.monotonic() + 10
    while (seen := session.source.preview(rig.spec, limit=10).num_rows) == 0 and time.monotonic() < deadline:
        pass
    assert (before, seen) == (0, 1)


def test_bad_lines_and_bad_values_wait_in_quarantine_with_their_place_while_the_rest_loads(rig: FolderRig) -> None:
    rig.put("a.csv", b"id,name\n1,apple\n2\n3,c\xffd\nx,plum\n\n6,fig,ripe\n7,quince\n")
    rig.read = {"columns": {"id": "int", "name": "text"}}
    rig.run()
    assert rig.rows("id", "name", "_line") == [(1, "apple", 2), (7, "quince", 8)]
    assert [(row["row"], row["reasons"]) for row in rig.quarantined()] == [
        ('{"id":"2","name":null,"_file":"a.csv","_line":3}', ["misfit(id): wrong number of fields"]),
        ('{"id":"6,fig,ripe","name":null,"_file":"a.csv","_line":7}', ["misfit(id): wrong number of fields"]),
        (
            '{"id":"x","name":"plum","_file":"a.csv","_line":5}',
            ["misfit(id): value that the column's type cannot hold"],
        ),
        (
            '{"id":3,"name":"c\\\\xffd","_file":"a.csv","_line":4}',
            ["misfit(name): bytes that are not of the encoding"],
        ),
    ]
    assert rig.verify().is_equal


def test_lines_that_were_mended_leave_quarantine(rig: FolderRig) -> None:
    rig.put("a.csv", f"{HEADER}1,apple\n2\n3\n")
    rig.run()
    assert len(rig.quarantined()) == 2
    rig.put("a.csv", f"{HEADER}1,apple\n2,pear\n")
    rig.run()
    assert rig.rows("id", "name") == [(1, "apple"), (2, "pear")]
    assert rig.quarantined() == []
    assert {row["status"] for row in rig.quarantined("superseded") + rig.quarantined("closed")} == {
        "superseded",
        "closed",
    }


def test_an_empty_file_is_bad_until_it_has_content_and_deletes_nothing(rig: FolderRig) -> None:
    rig.put("a.csv", f"{HEADER}1,apple\n")
    rig.run()
    rig.put("a.csv", b"")
    rig.run()
    assert rig.rows("id", "name") == [(1, "apple")]
    assert [(row["key"], row["reasons"]) for row in rig.quarantined()] == [
        ('{"_file":"a.csv","_line":0}', ["misfit(id): empty file"])
    ]
    assert rig.changed() == StreamCounts(), "a bad file is not read again until it changes"
    rig.put("a.csv", f"{HEADER}1,apricot\n", modified=time.time() - 30)
    rig.run()
    assert rig.rows("id", "name") == [(1, "apricot")]
    assert rig.quarantined() == []


def test_a_byte_order_mark_is_no_part_of_the_first_name(rig: FolderRig) -> None:
    rig.put("a.csv", b"\xef\xbb\xbfid,name\n1,\xc3\xa4pfel\n")
    rig.put("b.csv", "id,name\n2,öl\n".encode("utf-16"))
    rig.run()
    assert rig.rows("id", "name") == [(1, "äpfel"), (2, "öl")]


def test_columns_are_the_union_of_all_files_and_their_types_hold_what_all_show(rig: FolderRig) -> None:
    rig.put("a.csv", "id,price,code,day\n1,2,007,2026-01-31\n")
    rig.put("b.csv", "code,id,price,colour\nx,2,2.5,red\n")
    rig.run()
    assert rig.rows("id", "price", "code", "day", "colour")[0][:3] == (1, 2.0, "007")
    assert {field.name: str(field.type) for field in rig.schema()} == {
        "id": "int64",
        "price": "double",
        "code": "string",
        "day": "date32[day]",
        "colour": "string",
        "_file": "string",
        "_line": "int64",
    }
    assert rig.verify().is_equal


def test_a_column_that_appears_later_is_added_and_one_that_goes_stays(rig: FolderRig) -> None:
    rig.put("a.csv", "id,name\n1,apple\n")
    rig.put("b.csv", "id,name\n2,pear\n")
    rig.run()
    (rig.drop / "a.csv").unlink()
    rig.put("c.csv", "id,colour\n3,red\n")
    rig.run()
    assert rig.rows("id", "name", "colour") == [(2, "pear", None), (3, None, "red")]
    assert rig.verify().is_equal


def test_values_of_a_later_file_that_the_column_cannot_hold_wait_and_a_new_copy_takes_them(rig: FolderRig) -> None:
    rig.put("a.csv", "id,price\n1,2\n")
    rig.run()
    rig.put("b.csv", "id,price\n2,2.5\n3,4\n")
    rig.run()
    assert rig.rows("id", "price") == [(1, 2), (3, 4)]
    assert [row["key"] for row in rig.quarantined()] == ['{"_file":"b.csv","_line":2}']
    rig.run(resync=["prices"])
    assert rig.rows("id", "price_2") == [(1, 2.0), (2, 2.5), (3, 4.0)]


def test_a_number_column_becomes_text_where_a_later_file_has_words(rig: FolderRig) -> None:
    rig.put("a.csv", "id,code\n1,17\n")
    rig.run()
    rig.put("b.csv", "id,code\n2,B-7\n")
    rig.run()
    assert rig.rows("id", "code") == [(1, "17"), (2, "B-7")]
    assert rig.verify().is_equal


def test_parts_of_a_path_become_columns(rig: FolderRig) -> None:
    rig.read = {"path": "year={year}/{region}/**/*.csv", "columns": {"id": "int", "year": "int"}}
    rig.put("year=2025/north/a.csv", "id\n1\n")
    rig.put("year=2026/south%2Fwest/x/y/a.csv", "id\n2\n")
    rig.put("year=2026/_tmp/a.csv", "id\n3\n")
    rig.put("other/a.csv", "id\n4\n")
    rig.run()
    assert rig.rows("id", "year", "region") == [(1, 2025, "north"), (2, 2026, "south/west")]
    assert rig.verify().is_equal


def test_more_files_gone_than_one_would_believe_delete_nothing(rig: FolderRig) -> None:
    for name in "abcd":
        rig.put(f"{name}.csv", f"{HEADER}1,{name}\n")
    rig.run()
    for name in "abc":
        (rig.drop / f"{name}.csv").unlink()
    with pytest.raises(SourceRejected, match="3 of 4 known files are gone, more than 50%") as caught:
        rig.run()
    assert caught.value.facts["case"] == "vanished"
    assert len(rig.rows("id")) == 4
    rig.read = {"max_vanished": 0.75}
    rig.run()
    assert rig.rows("name") == [("d",)]


def test_a_folder_that_is_empty_or_gone_deletes_nothing(rig: FolderRig) -> None:
    rig.read = {"max_vanished": 0.99, "columns": {"id": "int", "name": "text"}}
    rig.put("a.csv", f"{HEADER}1,apple\n")
    rig.run()
    (rig.drop / "a.csv").unlink()
    with pytest.raises(SourceRejected, match="no file is there any more, of 1 known"):
        rig.run()
    rig.drop.rename(rig.folder / "elsewhere")
    with pytest.raises(SourceRejected, match="there is no such folder"):
        rig.run()
    assert rig.rows("id", "name") == [(1, "apple")]


def test_a_stream_begins_before_its_first_file(rig: FolderRig) -> None:
    rig.run()
    rig.put("a.csv", f"{HEADER}1,apple\n")
    rig.run()
    assert rig.rows("id", "name") == [(1, "apple")]


def test_a_mask_of_a_path_is_refused(rig: FolderRig) -> None:
    rig.masks = {"_file": "hash"}
    rig.put("a.csv", f"{HEADER}1,apple\n")
    with pytest.raises(ConfigError, match="_file cannot be masked"):
        rig.run()


def test_appended_files_are_loaded_once_and_one_that_changes_is_refused(rig: FolderRig) -> None:
    rig.mode = Mode.APPEND
    rig.put("a.csv", f"{HEADER}1,apple\n")
    rig.run()
    rig.put("b.csv", f"{HEADER}2,pear\n")
    rig.run()
    assert rig.rows("id", "name", "_file", "_line") == [(1, "apple", "a.csv", 2), (2, "pear", "b.csv", 2)]
    kept = (rig.drop / "a.csv").read_bytes()
    at = (rig.drop / "a.csv").stat().st_mtime
    rig.put("a.csv", f"{HEADER}1,apricot\n", modified=at + 1)
    with pytest.raises(SourceRejected, match="a file was changed after its rows were appended") as caught:
        rig.run()
    assert "a.csv" in caught.value.where
    rig.read = {"changed": "append"}
    rig.run()
    assert [name for (name,) in rig.rows("name")] == ["apple", "apricot", "pear"]
    assert kept.endswith(b"apple\n")


def test_an_appended_file_that_left_and_came_back_is_not_loaded_again(rig: FolderRig) -> None:
    rig.mode = Mode.APPEND
    rig.put("a.csv", f"{HEADER}1,apple\n")
    rig.run()
    (rig.drop / "a.csv").rename(rig.folder / "aside")
    rig.run()
    (rig.folder / "aside").rename(rig.drop / "a.csv")
    rig.run()
    assert rig.rows("id", "name") == [(1, "apple")]


def test_a_file_that_may_not_be_read_stops_the_stream_and_is_named(rig: FolderRig) -> None:
    rig.put("a.csv", f"{HEADER}1,apple\n")
    rig.run()
    rig.put("b.csv", f"{HEADER}2,pear\n").chmod(0)
    with unprivileged(rig.folder), pytest.raises(SourceRejected, match=r"b\.csv: access was denied"):
        rig.run()
    assert rig.rows("id", "name") == [(1, "apple")]


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """As somebody who is bound by permissions, but may reach everything in the folder."""
    if os.geteuid() != 0:
        yield
        return
    for path in folder.rglob("*"):
        if path.stat().st_mode & 0o777:
            path.chmod(0o777)
    kept = {parent: parent.stat().st_mode for parent in (folder, *folder.parents) if not parent.stat().st_mode & 1}
    for parent in kept:
        parent.chmod(0o777)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for parent, mode in kept.items():
            parent.chmod(mode)


def test_an_unusable_stream_is_refused_before_anything_is_made(rig: FolderRig) -> None:
    rig.read = {"path": "*"}
    with pytest.raises(ConfigError, match="the format of \\* does not show in its suffix"):
        rig.run()
    assert rig.warehouse.checkpoint("drop__prices") is None
