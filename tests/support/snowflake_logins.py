"""A listener on loopback that takes the connector's sign-in requests, notes them, and answers as it was told."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Mapping
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


@attrs.frozen
class Asked:
    """A request: its path, the parameters in its address, and its ``data``."""

    path: str
    parameters: Mapping[str, str]
    data: Mapping[str, Any] = attrs.field(factory=dict)


class Logins:
    """The listener; a context manager. ``status`` and ``answer`` are what every sign-in is answered with."""

    def __init__(self, answer: Mapping[str, object] = WELCOME, *, status: int = 200) -> None:
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.asked, answer, status))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def login(self) -> Asked:
        """The only sign-in that came."""
        (login,) = [asked for asked in self.asked if asked.path == "/session/v1/login-request"]
        return login

    def __enter__(self) -> Logins:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(asked: list[Asked], answer: Mapping[str, object], status: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            address = urlsplit(self.path)
            parameters = {key: values[0] for key, values in parse_qs(address.query).items()}
            is_form = "form" in (self.headers.get("Content-Type") or "")
            data = {k: v[0] for k, v in parse_qs(body.decode()).items()} if is_form else _json(body).get("data") or {}
            asked.append(Asked(address.path, parameters, data))
            is_signing_in = address.path in {"/session/v1/login-request", "/session/authenticator-request"}
            self._reply(answer if is_signing_in else {"access_token": "from-client"}, status if is_signing_in else 200)

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
