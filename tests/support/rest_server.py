"""A real HTTP server with an API over lists of records, and scripted misbehaviour: what real APIs do on bad days.

Tests change ``rows`` and add ``faults``; what was asked for is in ``requests``.
"""

from __future__ import annotations

import base64
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs

Row = dict[str, Any]


@attrs.define
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str = ""


@attrs.define
class Reply:
    """An answer: its ``body`` is JSON unless it is bytes. ``cut_after`` closes the connection after so many bytes of
    it, by a reset if ``is_reset``; ``is_sized`` says whether its length is told.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = attrs.field(factory=dict)
    cut_after: int | None = None
    is_reset: bool = False
    is_sized: bool = True
    is_gzipped: bool = False

    def content(self) -> bytes:
        """The bytes of the body."""
        data = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return gzip.compress(data) if self.is_gzipped else data


#: Looks at a request and gives another answer than the endpoint's, or None.
Fault = Callable[[Asked], Reply | None]
Endpoint = Callable[[Asked], Reply]


@attrs.define
class Api:
    """What the server serves: endpoints by path, ``{}`` standing for one part of it."""

    endpoints: dict[str, Endpoint] = attrs.field(factory=dict)
    faults: list[Fault] = attrs.field(factory=list)
    requests: list[Asked] = attrs.field(factory=list)
    url: str = ""
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def answer(self, asked: Asked) -> Reply:
        """What a request gets."""
        with self._lock:
            self.requests.append(asked)
            for fault in list(self.faults):
                reply = fault(asked)
                if reply is not None:
                    return reply
            for pattern, endpoint in self.endpoints.items():
                if _matches(pattern, asked.path):
                    return endpoint(asked)
        return Reply({"error": "no such endpoint"}, status=404)

    def paths(self) -> list[str]:
        """The paths and queries asked for so far."""
        return [f"{asked.path}?{'&'.join(f'{k}={v}' for k, v in asked.query.items())}" for asked in self.requests]

    def forget(self) -> None:
        """Forget what was asked for, and the faults."""
        self.requests.clear()
        self.faults.clear()

    def once(self, fault: Fault) -> None:
        """Misbehave the first time that ``fault`` gives an answer."""
        self.times(1, fault)

    def times(self, count: int, fault: Fault) -> None:
        """Misbehave the first ``count`` times that ``fault`` gives an answer."""
        left = [count]

        def limited(asked: Asked) -> Reply | None:
            reply = fault(asked) if left[0] else None
            left[0] -= reply is not None
            return reply

        self.faults.append(limited)


def on_page(number: int, reply: Reply, *, parameter: str = "page") -> Fault:
    """Give ``reply`` for one page."""
    return lambda asked: reply if asked.query.get(parameter) == str(number) else None


def always(reply: Reply) -> Fault:
    """Give ``reply`` whatever is asked."""
    return lambda _asked: reply


def paged(rows: list[Row], *, size: int = 10, total: bool = False) -> Endpoint:
    """``?page=N`` from 1 on; ``{"data": [...]}``, with ``"total"`` if asked for; behind the last come empty pages."""

    def serve(asked: Asked) -> Reply:
        page = int(asked.query.get("page", 1))
        body: dict[str, Any] = {"data": rows[(page - 1) * size : page * size]}
        return Reply(body | ({"total": len(rows)} if total else {}))

    return serve


def offset(rows: list[Row], *, most: int = 10) -> Endpoint:
    """``?offset=N&limit=M``, never more than ``most`` rows whatever is asked for; ``{"items": [...], "count": N}``."""

    def serve(asked: Asked) -> Reply:
        start, size = int(asked.query.get("offset", 0)), min(int(asked.query.get("limit", most)), most)
        return Reply({"items": rows[start : start + size], "count": len(rows)})

    return serve


def cursored(rows: list[Row], *, size: int = 10) -> Endpoint:
    """``?cursor=T``; ``{"data": [...], "meta": {"next": T or null, "more": flag}}``."""

    def serve(asked: Asked) -> Reply:
        start = int(asked.query.get("cursor", "c0")[1:])
        more = start + size < len(rows)
        meta = {"next": f"c{start + size}" if more else None, "more": more}
        return Reply({"data": rows[start : start + size], "meta": meta})

    return serve


def linked(rows: list[Row], *, size: int = 10) -> Endpoint:
    """A list, and the header ``Link`` with the address of the next page."""

    def serve(asked: Asked) -> Reply:
        start = int(asked.query.get("after", 0))
        headers = {"X-Total-Count": str(len(rows))}
        if start + size < len(rows):
            link = f"{asked.path}?after={start + size}"
            headers["Link"] = f'<{asked.path}>; rel="first", <{link}>; rel="next"'
        return Reply(rows[start : start + size], headers=headers)

    return serve


def since(rows: list[Row], *, column: str = "updated_at", parameter: str = "since", size: int = 10) -> Endpoint:
    """``?since=T&page=N``: the rows whose ``column`` is ``T`` or later, in its order."""

    def serve(asked: Asked) -> Reply:
        start = asked.query.get(parameter, "")
        wanted = sorted((row for row in rows if row[column] >= start), key=lambda row: str(row[column]))
        page = int(asked.query.get("page", 1))
        return Reply({"data": wanted[(page - 1) * size : page * size]})

    return serve


def whole(rows: list[Row], *, etag: bool = False) -> Endpoint:
    """All rows at once, with an ETag if asked for."""

    def serve(asked: Asked) -> Reply:
        reply = Reply(rows)
        if not etag:
            return reply
        tag = f'"{hash(reply.content()) & 0xFFFFFFFF:x}"'
        if asked.headers.get("if-none-match") == tag:
            return Reply(b"", status=304, headers={"ETag": tag})
        return attrs.evolve(reply, headers={"ETag": tag})

    return serve


def tokens(*, lifetime_uses: int, client: str = "crm:s3cret") -> tuple[Endpoint, Fault]:
    """A token endpoint of OAuth 2.0, and what refuses requests whose token was used ``lifetime_uses`` times."""
    issued: dict[str, int] = {}

    def issue(asked: Asked) -> Reply:
        expected = "Basic " + base64.b64encode(client.encode()).decode()
        if asked.headers.get("authorization") != expected:
            return Reply({"error": "invalid_client"}, status=401)
        token = f"token-{len(issued) + 1}"
        issued[token] = 0
        return Reply({"access_token": token, "token_type": "bearer", "expires_in": 3600})

    def check(asked: Asked) -> Reply | None:
        if asked.method == "POST":
            return None
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in issued or issued[token] >= lifetime_uses:
            return Reply({"error": "invalid_token"}, status=401)
        issued[token] += 1
        return None

    return issue, check


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are part of the tests."""


@contextmanager
def serving(wrap: Callable[[socket.socket], socket.socket] = lambda it: it) -> Iterator[Api]:
    """A server on a free port of loopback, gone on leaving; ``wrap`` may put TLS around its socket."""
    api = Api()
    server = _Server(("127.0.0.1", 0), _handler(api))
    server.socket = wrap(server.socket)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _matches(pattern: str, path: str) -> bool:
    ours, theirs = pattern.split("/"), path.split("/")
    return len(ours) == len(theirs) and all(part in {"{}", other} for part, other in zip(ours, theirs, strict=True))


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each body waits for the acknowledgement of its headers

        def do_GET(self) -> None:
            self._serve("")

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("content-length", 0))).decode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def _serve(self, body: str) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            _send(self, api.answer(Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)))

    return Handler


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    content = reply.content()
    handler.send_response(reply.status)
    given = {"Content-Type": "application/json", **reply.headers}
    if reply.is_gzipped:
        given["Content-Encoding"] = "gzip"
    if reply.is_sized and reply.status != 304:
        given["Content-Length"] = str(len(content))
    else:
        handler.close_connection = reply.status != 304
    for name, value in given.items():
        handler.send_header(name, value)
    handler.end_headers()
    if reply.cut_after is None:
        handler.wfile.write(content)
        return
    handler.wfile.write(content[: reply.cut_after])
    handler.wfile.flush()
    handler.close_connection = True
    if reply.is_reset:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
