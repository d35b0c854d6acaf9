"""A folder and a bucket to drop files into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.folder_rig import FolderRig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[FolderRig]:
    """A pipeline over an empty local folder."""
    rig = FolderRig(tmp_path)
    yield rig
    rig.close()
