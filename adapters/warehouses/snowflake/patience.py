"""Trying again, with growing pauses, what failed in a way that may pass.

Which errors those are is ``errors``'. Within a session the connector itself sends requests again: its pauses, and the
end of them, are told here too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import attrs

from adapters.warehouses.snowflake.errors import is_transient
from pipeline.domain.errors import PipelineError

Result = TypeVar("Result")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0

#: What the connector raises where an account gives no answer.
_NO_ANSWER = 250001


@attrs.frozen
class Backoff:
    """The connector's ``backoff_policy``: it sends a request again for ``retry_s`` seconds after the first failure.

    Its ``network_timeout`` is no such thing: it cancels every statement that takes longer.
    """

    retry_s: float

    def __call__(self) -> Iterator[int]:
        """Pauses in whole seconds, as the connector takes them; the first is asked for before anything failed."""
        pause_s = 1
        yield pause_s
        deadline = time.monotonic() + self.retry_s - pause_s
        while (left_s := deadline - time.monotonic()) > 0:
            pause_s = min(int(LONGEST_PAUSE_S), pause_s * 2)
            yield max(1, min(pause_s, int(left_s)))
        from snowflake.connector.errors import OperationalError

        raise OperationalError(msg="no answer", errno=_NO_ANSWER)


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
