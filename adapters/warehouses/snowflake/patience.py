"""Trying again, with growing pauses, what failed in a way that may pass.

Which errors those are is ``errors``'. Within a session the connector itself sends requests again, see ``options``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from adapters.warehouses.snowflake.errors import is_transient
from pipeline.domain.errors import PipelineError

Result = TypeVar("Result")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0


def persevere(
    work: Callable[[], Result],
    *,
    retry_s: float,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Result:
    """What ``work`` gives, tried anew for up to ``retry_s`` seconds; raises its last error, and at once one that will
    not pass. ``work`` must be something that may be done twice.
    """
    deadline = monotonic() + retry_s
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return work()
        except PipelineError as error:
            left_s = deadline - monotonic()
            if left_s <= 0 or not is_transient(error):
                raise
        sleep(min(pause_s, left_s))
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
