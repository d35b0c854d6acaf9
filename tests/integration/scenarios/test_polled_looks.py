"""What each kind of system without a log does on bad days, seen from either warehouse (I1, I3, I4)."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.warehouses import duckdb, snowflake
from pipeline.domain.errors import PipelineError
from tests.support.emulator import Emulator
from tests.support.folder_rig import FolderRig
from tests.support.polled_systems import ApiSystem, Row
from tests.support.polled_world import PolledWorld, warehouse_options
from tests.support.rest_server import Reply, always, on_page

CURSORS: dict[str, dict[str, object]] = {
    "SqliteSystem": {"cursor": "touched", "overlap": 600},
    "PostgresSystem": {"cursor": "touched", "overlap": 600},
    "ApiSystem": {"cursor": {"column": "touched", "parameter": "since", "format": "iso_seconds", "overlap": 600.0}},
}


def touched(number: int, minute: int) -> Row:
    return {"id": number, "touched": f"2026-01-01T00:{minute:02}:00Z"}


@pytest.mark.parametrize("system", ["sqlite", "postgresql", "rest"], indirect=True)
def test_a_row_committed_late_with_an_early_time_is_loaded_and_none_twice(polled: PolledWorld) -> None:
    """I1."""
    polled.system.columns = {"id": "int64", "touched": "timestamptz"}
    polled.system.more = CURSORS[type(polled.system).__name__]
    polled.system.put(*(touched(number, 1) for number in range(1, 21)))
    polled.run()
    polled.system.put(touched(21, 9), touched(22, 9))
    assert polled.loaded() == 2
    polled.system.put(touched(23, 2), touched(24, 9))
    assert polled.loaded() == 2
    assert polled.loaded() == 0
    assert polled.staged("id") == polled.shown("id")


MISBEHAVIOUR = {
    "an error answered as good": always(Reply({"error": "try later"})),
    "a server error in the middle": on_page(2, Reply({}, status=502)),
    "a page that is no JSON": on_page(3, Reply(b"<html>")),
    "a page that comes twice": on_page(2, Reply({"data": [{"id": 1, "note": "row", "amount": 0.5}]})),
    "a page cut short": on_page(2, Reply({"data": []}, cut_after=5)),
}


@pytest.mark.parametrize("system", ["rest"], indirect=True)
def test_an_answer_that_may_be_incomplete_loads_and_deletes_nothing(polled: PolledWorld) -> None:
    """I3."""
    assert isinstance(polled.system, ApiSystem)
    polled.system.put(*({"id": number, "note": "row", "amount": 0.5} for number in range(1, 46)))
    polled.run()
    before, changes, position = polled.staged(), len(polled.changelog()), polled.checkpoint().position
    polled.system.remove(45)
    for fault in MISBEHAVIOUR.values():
        polled.system.api.faults.append(fault)
        with pytest.raises(PipelineError):
            polled.run()
        polled.system.api.forget()
    assert polled.checkpoint().position == position
    assert (polled.staged(), len(polled.changelog())) == (before, changes)
    polled.system.api.once(always(Reply({}, status=429, headers={"Retry-After": "0"})))
    polled.run()
    assert polled.staged() == polled.shown()


@pytest.fixture
def rig(tmp_path: Path, warehouse_kind: str, emulator_if_any: Emulator | None) -> Iterator[FolderRig]:
    """A folder whose rows are known by file and line."""
    database = Emulator.new_database()
    build = duckdb.build if warehouse_kind == "duckdb" else snowflake.build
    options = warehouse_options(warehouse_kind, tmp_path, emulator_if_any, database)
    rig = FolderRig(tmp_path, warehouse=build("warehouse", options))
    yield rig
    rig.close()
    if emulator_if_any is not None:
        emulator_if_any.drop(database)


def test_files_of_every_fate_at_once(rig: FolderRig) -> None:
    """I4."""
    rig.read = {"path": "*.csv*", "min_age_s": 30.0, "format": "csv"}
    now = float(int(time.time()) - 60)
    for name in ("kept", "overwritten", "renamed", "removed", "torn", "emptied", "growing"):
        rig.put(f"{name}.csv", f"id,name\n1,{name}\n2,{name}\n", modified=now)
    rig.run()
    rig.put("overwritten.csv", "id,name\n1,overthrown\n", modified=now + 0.5)
    (rig.drop / "renamed.csv").rename(rig.drop / "moved.csv")
    (rig.drop / "removed.csv").unlink()
    rig.put("marked.csv", b"\xef\xbb\xbfname,colour,id\r\nm\xc3\xbcll,red,3\r\n")
    rig.put("cut.csv.gz", gzip.compress(b"id,name\n1,whole\n" + b"2,half\n" * 9_000)[:40])
    rig.put("torn.csv", 'id,name\n1,torn\n2,"to')
    rig.put("emptied.csv", b"")
    rig.put("growing.csv", "id,name\n1,gro", modified=time.time())
    rig.put("young.csv", "id,name\n1,yo", modified=time.time())
    rig.run()
    assert rig.rows("_file", "_line", "id", "name", "colour") == [
        ("emptied.csv", 2, 1, "emptied", None),
        ("emptied.csv", 3, 2, "emptied", None),
        ("growing.csv", 2, 1, "growing", None),
        ("growing.csv", 3, 2, "growing", None),
        ("kept.csv", 2, 1, "kept", None),
        ("kept.csv", 3, 2, "kept", None),
        ("marked.csv", 2, 3, "müll", "red"),
        ("moved.csv", 2, 1, "renamed", None),
        ("moved.csv", 3, 2, "renamed", None),
        ("overwritten.csv", 2, 1, "overthrown", None),
        ("torn.csv", 2, 1, "torn", None),
        ("torn.csv", 3, 2, "torn", None),
    ]
    waiting = {row["key"]: row["reasons"] for row in rig.quarantined()}
    assert set(waiting) == {
        '{"_file":"cut.csv.gz","_line":0}',
        '{"_file":"emptied.csv","_line":0}',
        '{"_file":"torn.csv","_line":3}',
    }
    rig.put("emptied.csv", "id,name\n5,filled\n", modified=now + 9)
    (rig.drop / "cut.csv.gz").unlink()
    rig.put("torn.csv", "id,name\n1,torn\n2,mended\n", modified=now + 9)
    rig.put("growing.csv", "id,name\n1,grown\n", modified=now + 9)
    (rig.drop / "young.csv").unlink()
    rig.run()
    assert rig.quarantined() == []
    assert rig.verify().is_equal
