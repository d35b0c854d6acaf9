"""A server of memos on shelves over TCP, with the failures that a test asks for.

One question a connection: ``SHELVES``, ``VERSION shelf``, ``READ shelf after count`` (memos as JSON, one a line, in
order of their numbers); an answer ends with a line that has a dot alone.
"""

from __future__ import annotations

import json
import socketserver
import threading
from types import TracebackType
from typing import cast


class MemoServer(socketserver.ThreadingTCPServer):
    """Serves ``shelves`` on a free port of loopback while its context lasts.

    ``breaks_after``: that many answers to ``READ`` break off in the middle from then on. ``is_deaf``: connections are
    closed before they are answered.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.shelves: dict[str, dict[int, str]] = {"orders": {}}
        self.versions: dict[str, int] = {"orders": 0}
        self.breaks_after: int | None = None
        self.is_deaf = False
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def __enter__(self) -> MemoServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def put(self, shelf: str, number: int, note: str) -> None:
        """Write a memo."""
        self.shelves[shelf] = {**self.shelves[shelf], number: note}
        self.versions[shelf] += 1

    def remove(self, shelf: str, number: int) -> None:
        """Take a memo away."""
        self.shelves[shelf] = {other: note for other, note in self.shelves[shelf].items() if other != number}
        self.versions[shelf] += 1

    def answer(self, question: list[str]) -> list[str]:
        """The lines of an answer."""
        match question:
            case ["SHELVES"]:
                return sorted(self.shelves)
            case ["VERSION", shelf]:
                return [str(self.versions[shelf])]
            case ["READ", shelf, after, count]:
                memos = sorted(memo for memo in self.shelves[shelf].items() if memo[0] > int(after))
                return [json.dumps(memo) for memo in memos[: int(count)]]
        return ["what?"]


class _Answer(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = cast("MemoServer", self.server)
        question = self.rfile.readline().decode().split()
        if server.is_deaf:
            return
        text = "".join(f"{line}\n" for line in [*server.answer(question), "."])
        if question[0] == "READ" and server.breaks_after is not None:
            if server.breaks_after == 0:
                text = text[: len(text) // 2]
            else:
                server.breaks_after -= 1
        self.wfile.write(text.encode())
