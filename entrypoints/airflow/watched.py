"""What is looked at for changes, and how: plain values, since Airflow stores them with a trigger.

Looking is ``watching``'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from entrypoints.airflow.header import Header


@attrs.frozen
class Watched:
    """The source of the pipeline file ``path``, looked at every ``poll_s`` seconds. After ``wait_s`` seconds without
    changes a run starts all the same. ``behind_service``: of interest is what a service has loaded, not what waits to
    be loaded.
    """

    path: str
    config_dir: str
    poll_s: float
    wait_s: float
    behind_service: bool = False

    @classmethod
    def of(cls, header: Header, config_dir: Path) -> Watched:
        """What the DAG of a pipeline file watches."""
        wanted = header.orchestration
        return cls(str(header.path), str(config_dir), wanted.poll_s, wanted.wait_s, behind_service=wanted.service)

    @property
    def arguments(self) -> dict[str, Any]:
        """By name, for ``Watched(**arguments)``."""
        return attrs.asdict(self)
