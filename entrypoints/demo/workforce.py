"""The shop's simulator in a process of its own, so that its work takes nothing from the pipeline that is watched.

The process ends when its standard input does, whoever closes it. What the shop does is ``simulator``'s.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

from entrypoints.demo.simulator import Simulator
from pipeline.domain.errors import SourceError

#: How the process is told the database's address, which holds a password: not by its arguments.
_DSN = "SHOP_SIMULATOR_DSN"
_ROOT = Path(__file__).resolve().parents[2]


class Workforce:
    """Commits ``rate_per_s`` transactions a second between ``start`` and ``stop``."""

    def __init__(self, dsn: str, *, rate_per_s: float) -> None:
        self.committed_count = 0
        self._dsn = dsn
        self.rate_per_s = rate_per_s
        self._process: subprocess.Popen[str] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it works."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Begin to commit transactions."""
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter runs this module
            [sys.executable, "-m", "entrypoints.demo.workforce", str(self.rate_per_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=_ROOT,
            env={**os.environ, _DSN: self._dsn},
            start_new_session=True,
        )

    def stop(self) -> None:
        """Finish the transaction at hand and end. Safe to call twice.

        Raises ``SourceError`` if it ended before it was told to.
        """
        process, self._process = self._process, None
        if process is None:
            return
        said, _ = process.communicate()
        report = json.loads(said) if said.strip() else {"error": "Died", "committed": 0}
        self.committed_count += report["committed"]
        if report["error"]:
            raise SourceError(
                f"the shop stopped working ({report['error']})", where="simulator", hint="Start the demo again."
            )


def main(orders: IO[str] = sys.stdin) -> None:
    """Work until the input ends, then tell what was done as one JSON object."""
    simulator = Simulator(os.environ.pop(_DSN), rate_per_s=float(sys.argv[1]))
    simulator.start()
    orders.read()
    simulator.stop()
    error = None if simulator.error is None else type(simulator.error).__name__
    print(json.dumps({"committed": simulator.committed_count, "error": error}))  # noqa: T201 - its parent reads it


if __name__ == "__main__":
    main()
