"""Runs a pipeline of one polled stream up to a step of ``crasher``: ``polled_crasher.py JSON``.

There it kills itself, or, if ``waits``, says so and goes on once its input ends; then it follows the source until it is
told to stop.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from entrypoints.cli.stopping import stopping
from pipeline.application.stream import follow
from pipeline.application.sync import sync
from pipeline.domain.stream import BatchLimits, StreamSpec
from tests.support.crasher import Dying, die
from tests.support.one_stream import session_of
from tests.support.polled_world import AT_STEP, STREAM
from tests.support.world import Recorder


def main() -> None:
    """Run to the step."""
    told = json.loads(sys.argv[1])
    source = importlib.import_module(told["module"]).build("shop", told["source"])
    warehouse = importlib.import_module(f"adapters.warehouses.{told['warehouse']}").build("warehouse", told["options"])
    spec = StreamSpec(STREAM, told["relation"], "shop", read=told["read"])
    dying = Dying(warehouse, told["step"], _wait if told["waits"] else die)
    limits = BatchLimits(rows=told["rows"])
    with stopping(graceful=told["waits"]) as stop:
        session = session_of(source, dying, spec, limits=limits, recorder=Recorder(), stop=stop)
        (follow if told["waits"] else sync)(session)
    source.close()
    warehouse.close()


def _wait() -> None:
    os.write(1, f"{AT_STEP}\n".encode())
    sys.stdin.read()


if __name__ == "__main__":
    main()
