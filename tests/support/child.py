"""The environment of Python processes that tests start themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """These variables, or this process's, with which another one finds the packages and the tests' support too."""
    return {**(os.environ if variables is None else variables), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
