"""Runs a command of the CLI and tells how much memory it took: ``weighed_command.py COMMAND...``. For tests.

Prints the peak of the anonymous memory in MB, as ``weigher`` does, and exits as the command did.
"""

from __future__ import annotations

import sys

from entrypoints.cli.__main__ import main
from tests.support.weigher import Scale

if __name__ == "__main__":
    scale = Scale()
    scale.start()
    status = main(sys.argv[1:])
    sys.stderr.write(f"\n{scale.stop()}\n")
    sys.exit(status)
