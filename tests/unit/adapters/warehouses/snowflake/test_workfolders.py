"""Work folders of processes that died are removed, and no others."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.warehouses.snowflake import workfolders
from adapters.warehouses.snowflake.workfolders import WorkFolder, sweep
from tests.support.child import environment

OWNER = """
import pathlib, sys, time
from adapters.warehouses.snowflake.workfolders import WorkFolder
folder = WorkFolder(pathlib.Path(sys.argv[1]))
(folder.path / "1.parquet").write_bytes(b"rows")
print(folder.path, flush=True)
sys.stdin.read()
"""


def test_a_folder_is_gone_with_all_that_is_in_it_once_it_is_removed(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path / "new")
    (folder.path / "1.parquet").write_bytes(b"rows")
    folder.remove()
    folder.remove()
    assert list((tmp_path / "new").iterdir()) == []


def test_the_folder_of_a_process_is_swept_once_it_was_killed_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert owner.stdout is not None
    path = Path(owner.stdout.readline().strip())
    with monkeypatch.context() as patch:
        patch.setattr(workfolders, "YOUNG_S", 0.0)
        sweep(tmp_path)
    assert (path / "1.parquet").exists()
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    sweep(tmp_path)
    assert path.exists()  # too young
    monkeypatch.setattr(workfolders, "YOUNG_S", 0.0)
    sweep(tmp_path)
    assert not path.exists()


def test_folders_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workfolders, "YOUNG_S", 0.0)
    (tmp_path / "snowflake-cache").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "snowflake-file").write_text("a file")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "snowflake-cache", "snowflake-file"]
