"""A listener on loopback that takes the connector's requests, notes them, and answers as it was told: for what an
emulator cannot be made to do, such as refusing a sign-in or showing grants.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs

WELCOME: dict[str, object] = {
    "success": True,
    "code": None,
    "message": None,
    "data": {"token": "session-token", "masterToken": "master-token", "sessionId": 1, "parameters": []},
}


def refusal(code: int, message: str = "canary-7d3f") -> dict[str, object]:
    """An answer of the service that refuses."""
    return {"success": False, "code": str(code), "message": message, "data": {}}


def rows(*found: Mapping[str, str | datetime | None]) -> dict[str, object]:
    """An answer to a statement: rows by the names of their columns, texts and instants."""
    first: Mapping[str, object] = found[0] if found else {"name": None}
    kinds = {name: "timestamp_ntz" if isinstance(value, datetime) else "text" for name, value in first.items()}
    return {
        "success": True,
        "code": None,
        "message": None,
        "data": {
            "rowtype": [
                {"name": name, "type": kind, "nullable": True, "length": 1000, "precision": 0, "scale": 9}
                for name, kind in kinds.items()
            ],
            "rowset": [[_sent(row[name]) for name in kinds] for row in found],
            "total": len(found),
            "returned": len(found),
            "queryId": "01-query",
            "queryResultFormat": "json",
            "parameters": [],
        },
    }


def _sent(value: str | datetime | None) -> str | None:
    return f"{value.timestamp():.9f}" if isinstance(value, datetime) else value


@attrs.frozen
class Asked:
    """A request: its path, the parameters in its address, and its ``data``, or the statement that it brings."""

    path: str
    parameters: Mapping[str, str]
    data: Mapping[str, Any] = attrs.field(factory=dict)


class Logins:
    """The listener; a context manager. ``status`` and ``answer`` are what every sign-in is answered with, ``replies``
    what a statement is: by its text, and no rows for others, after ``slow_s`` seconds.
    """

    def __init__(
        self,
        answer: Mapping[str, object] = WELCOME,
        *,
        status: int = 200,
        replies: Mapping[str, Mapping[str, object]] | None = None,
        slow_s: float = 0.0,
    ) -> None:
        self._slow_s = slow_s
        self.asked: list[Asked] = []
        self._signing_in = (answer, status)
        self._replies = replies or {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def statements(self) -> list[str]:
        """Every statement that came, in order."""
        return [str(asked.data["sqlText"]) for asked in self.asked if "sqlText" in asked.data]

    @property
    def login(self) -> Asked:
        """The only sign-in that came."""
        (login,) = [asked for asked in self.asked if asked.path == "/session/v1/login-request"]
        return login

    def recover(self) -> None:
        """Let everybody in from now on."""
        self._signing_in = (WELCOME, 200)

    def answer(self, asked: Asked) -> tuple[Mapping[str, object], int]:
        """Note a request; what it is answered with, and the HTTP status."""
        self.asked.append(asked)
        if asked.path in {"/session/v1/login-request", "/session/authenticator-request"}:
            return self._signing_in
        if asked.path == "/queries/v1/query-request":
            time.sleep(self._slow_s)
            return self._replies.get(str(asked.data["sqlText"]), rows()), 200
        return {"success": True, "access_token": "from-client"}, 200

    def __enter__(self) -> Logins:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(logins: Logins) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            address = urlsplit(self.path)
            parameters = {key: values[0] for key, values in parse_qs(address.query).items()}
            is_form = "form" in (self.headers.get("Content-Type") or "")
            data = {k: v[0] for k, v in parse_qs(body.decode()).items()} if is_form else _json(body)
            self._reply(*logins.answer(Asked(address.path, parameters, data.get("data") or data)))

        def _reply(self, content: Mapping[str, object], code: int) -> None:
            text = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
            pass

    return Handler


def _json(body: bytes) -> dict[str, Any]:
    content = json.loads(body or b"{}")
    return content if isinstance(content, dict) else {}
