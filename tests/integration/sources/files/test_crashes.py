"""A process that ends between two loads of one look: the next one goes on, and ends with the same rows (G1)."""

from __future__ import annotations

import pytest

from adapters.warehouses.duckdb.load import DuckDBLoad
from pipeline.domain.stream import BatchLimits, Mode
from tests.support.folder_rig import FolderRig


class Killed(BaseException):
    """What nothing catches."""


def _lines(first: int, count: int, word: str = "row") -> str:
    return "id,name\n" + "".join(f"{number},{word} {number}\n" for number in range(first, first + count))


@pytest.fixture
def kill_after(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def] # a function that returns one
    """Let the process die right after so many commits."""

    def arm(commits: int) -> None:
        commit = DuckDBLoad.commit

        def counted(self: DuckDBLoad, counts: object) -> None:
            nonlocal commits
            commit(self, counts)  # type: ignore[arg-type] # passed on
            commits -= 1
            if commits == 0:
                raise Killed

        monkeypatch.setattr(DuckDBLoad, "commit", counted)

    yield arm
    monkeypatch.undo()


@pytest.mark.parametrize("mode", [Mode.MIRROR, Mode.APPEND])
def test_a_file_that_was_broken_off_between_two_loads_is_loaded_once(
    rig: FolderRig, kill_after, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def] # see there
    rig.mode = mode
    rig.limits = BatchLimits(rows=500)
    rig.read = {"block_bytes": 8 * 1024}
    rig.put("a.csv", _lines(0, 10))
    rig.run()
    rig.put("b.csv", _lines(10, 5_000))
    kill_after(3)
    with pytest.raises(Killed):
        rig.run()
    monkeypatch.undo()
    before = len(rig.rows("id"))
    assert 10 < before < 5_010, "some of the file was loaded, and some not"
    rig.run()
    assert [number for (number,) in sorted(rig.rows("id"))] == list(range(5_010))
    if mode is Mode.MIRROR:
        assert rig.verify().is_equal


def test_what_waits_of_the_beginning_of_an_appended_file_stays_though_it_was_broken_off(
    rig: FolderRig, kill_after, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def] # see there
    rig.mode = Mode.APPEND
    rig.limits = BatchLimits(rows=500)
    rig.read = {"block_bytes": 8 * 1024, "key": ["id"], "columns": {"id": "int", "name": "text"}}
    rig.put("a.csv", "id,name\n0,a\n")
    rig.run()
    rig.put("b.csv", "id,name\nx,b\n" + "".join(f"{n},{'b' * 90}\n" for n in range(1, 5_000)))
    kill_after(3)
    with pytest.raises(Killed):
        rig.run()
    monkeypatch.undo()
    waiting = ['{"id":"b.csv, line 2"}']
    assert [row["key"] for row in rig.quarantined()] == waiting
    assert 1 < len(rig.rows("id")) < 5_000, "some of the file was loaded, and some not"
    rig.run()
    assert [row["key"] for row in rig.quarantined()] == waiting
    assert len(rig.rows("id")) == 5_000


def test_lines_of_a_broken_off_file_that_shrank_meanwhile_are_deleted(
    rig: FolderRig, kill_after, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def] # see there
    rig.limits = BatchLimits(rows=500)
    rig.read = {"block_bytes": 8 * 1024}
    rig.put("a.csv", _lines(0, 10))
    rig.run()
    rig.put("b.csv", _lines(10, 5_000))
    kill_after(3)
    with pytest.raises(Killed):
        rig.run()
    monkeypatch.undo()
    rig.put("b.csv", _lines(10, 2, "short"))
    rig.run()
    assert [number for (number,) in sorted(rig.rows("id"))] == list(range(12))
    assert rig.verify().is_equal


def test_rows_and_the_entry_of_their_file_are_loaded_together(
    rig: FolderRig, kill_after, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def] # see there
    rig.limits = BatchLimits(rows=1)
    rig.put("a.csv", _lines(0, 1))
    rig.run()
    for number in range(1, 5):
        rig.put(f"{number}.csv", _lines(number, 1))
    kill_after(2)
    with pytest.raises(Killed):
        rig.run()
    monkeypatch.undo()
    loaded = {f"file:{path}" for (path,) in rig.rows("_file")}
    assert loaded == {name for name in rig.bookmarks() if name.startswith("file:")}
    assert len(loaded) == 3
    assert rig.changed().read_count == 2
