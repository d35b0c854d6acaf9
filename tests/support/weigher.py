"""Runs a pipeline over the table ``docs`` and tells how much memory it took: ``weigher.py DSN FOLDER WHAT``. For tests.

WHAT is ``run``; ``quarantine``, under a contract that every row breaks; or ``rebuild``, into another mode. Prints the
peak of the anonymous memory, in MB: pages of mapped files are the system's to take back.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from adapters.warehouses import duckdb
from pipeline.domain.contract import Contract, Rule, RuleKind
from pipeline.domain.stream import BatchLimits, Mode
from tests.support.attached import attached_world

LIMIT_BYTES = 4 * 1024 * 1024
MEMORY_LIMITS = {"run": "64MB", "quarantine": "64MB", "rebuild": "128MB"}
MODES = {"run": Mode.MIRROR, "quarantine": Mode.MIRROR, "rebuild": Mode.SOFT_DELETE}


class Scale(threading.Thread):
    """Looks at the memory of this process every few milliseconds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.005):
            lines = Path("/proc/self/status").read_text("ascii").splitlines()
            [anonymous] = [line.split()[1] for line in lines if line.startswith("RssAnon")]
            self.peak_mb = max(self.peak_mb, int(anonymous) // 1024)

    def stop(self) -> int:
        """The peak so far."""
        self._done.set()
        self.join()
        return self.peak_mb


def main() -> None:
    """Run once under small limits."""
    dsn, folder, what = sys.argv[1:]
    world = attached_world(dsn, Path(folder))
    world.limits = BatchLimits(bytes=LIMIT_BYTES, spill_bytes=LIMIT_BYTES)
    world.options["buffer_bytes"] = LIMIT_BYTES
    options = {"path": str(world.folder / "warehouse.duckdb"), "memory_limit": MEMORY_LIMITS[what], "threads": 1}
    warehouse = duckdb.build("warehouse", options)
    rules = (Rule(RuleKind.LENGTH, ("body",), maximum=1),) if what == "quarantine" else ()
    world.stream("docs", mode=MODES[what], contract=Contract(rules=rules))
    scale = Scale()
    scale.start()
    world.run(warehouse=warehouse)
    sys.stdout.write(f"{scale.stop()}\n")
    warehouse.close()


if __name__ == "__main__":
    main()
