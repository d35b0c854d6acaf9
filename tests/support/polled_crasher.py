"""Runs a pipeline of one polled stream and kills itself at a step of ``crasher``: ``polled_crasher.py JSON``."""

from __future__ import annotations

import importlib
import json
import sys

from pipeline.application.sync import sync
from pipeline.domain.stream import BatchLimits, StreamSpec
from tests.support.crasher import Dying
from tests.support.one_stream import session_of
from tests.support.polled_world import STREAM
from tests.support.world import Recorder


def main() -> None:
    """Run to the step."""
    told = json.loads(sys.argv[1])
    source = importlib.import_module(told["module"]).build("shop", told["source"])
    warehouse = importlib.import_module(f"adapters.warehouses.{told['warehouse']}").build("warehouse", told["options"])
    spec = StreamSpec(STREAM, told["relation"], "shop", read=told["read"])
    dying = Dying(warehouse, told["step"])
    sync(session_of(source, dying, spec, limits=BatchLimits(), recorder=Recorder()))


if __name__ == "__main__":
    main()
