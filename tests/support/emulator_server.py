"""The emulator's process: serves fakesnow with our shims on a free loopback port, which it prints first.

The gaps of its SQL are mended in ``emulator_sql``. Here is what belongs to the wire: which statements arrived, answers
that are kept for requests sent again, and scripted faults.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading


def main() -> None:
    """Serve until the parent goes away or asks to stop."""
    import fakesnow.server
    import uvicorn

    from tests.support import emulator_account, emulator_dbt

    emulator_account.install()
    emulator_dbt.install()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    config = uvicorn.Config(fakesnow.server.app, log_level="critical", access_log=False)
    server = uvicorn.Server(config)
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
    server.run(sockets=[listener])


def _end_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
