"""The emulator's process: serves fakesnow with our shims on a free loopback port, which it prints first.

The gaps of its SQL are mended in ``emulator_sql``. Here is what belongs to the wire: which statements arrived, answers
that are kept for requests sent again (as the service keeps them, by request id), and scripted faults.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import logging
import os
import re
import signal
import socket
import sys
import threading
import warnings
from typing import Any

import attrs
import fakesnow.server
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support import emulator_account, emulator_dbt, emulator_speed, emulator_sql, emulator_transactions

#: What is noted of a session beside its statements.
CUT, SIGNED_OUT = "(cut off)", "(signed out)"

#: ``answer_lost``: the statement is done, but from then on nothing reaches the session or comes from it;
#: ``not_arrived``: the same, and it is not done; ``answer_late``: the first answer is lost, the request sent again gets
#: it; ``killed``: somebody ended it; ``taken``: another session made the same at this moment; ``session_gone``: the
#: service knows the session no more, and its transaction is rolled back.
FAULTS = ("answer_lost", "answer_late", "not_arrived", "killed", "taken", "session_gone")
_REFUSALS = {"killed": (604, "SQL execution canceled"), "taken": (2002, "Object already exists.")}

_numbers = itertools.count(1001)


@attrs.define
class _Session:
    number: int
    database: str
    seen: list[dict[str, Any]]
    turn: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    is_cut: bool = False

    def note(self, text: str, error: int | None = None) -> dict[str, Any]:
        """Keep what arrived, or what became of the session."""
        self.seen.append({"session": self.number, "text": text, "error": error})
        return self.seen[-1]


@attrs.define
class _Fault:
    database: str
    pattern: re.Pattern[str]
    kind: str
    skip: int
    is_over: bool = False
    requests: set[str] = attrs.field(factory=set)


_sessions: dict[str, _Session] = {}
_seen: dict[str, list[dict[str, Any]]] = {}
_faults: list[_Fault] = []
_answers: dict[str, asyncio.Future[Response]] = {}


class _Dropped(Response):
    """No answer: the connection ends in the middle of one."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise ConnectionAbortedError


async def login(request: Request) -> Response:
    """Sign in, with a number for the session."""
    answer = await fakesnow.server.login_request(request)
    told = json.loads(answer.body)
    token = told["data"]["token"]
    database = (request.query_params.get("databaseName") or "").strip('"').upper()
    session = _Session(next(_numbers), database, _seen.setdefault(database, []))
    _sessions[token] = session
    emulator_transactions.register(fakesnow.server.sessions[token], session.number)
    told["data"]["sessionId"] = session.number
    return JSONResponse(told)


async def query(request: Request) -> Response:
    """Run a statement once for each request id, however often it is sent."""
    token = request.headers.get("Authorization", "")[17:-1]
    session, known = _sessions.get(token), request.query_params.get("requestId", "")
    if session is None:
        return await fakesnow.server.query_request(request)
    body = await request.body()
    told = json.loads(gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body)
    text = told["sqlText"]
    if session.is_cut:
        return _Dropped()
    fault = _fault_of(session, text, known)
    if fault == "not_arrived":
        session.is_cut = True
        session.note(CUT)
        return _Dropped()
    if fault in _REFUSALS:
        number, message = _REFUSALS[fault]
        session.note(text, number)
        return _refusal(f"{number:06d}", message)
    if fault == "session_gone":
        session.note(SIGNED_OUT)
        _end(token)
        return _refusal("390114", "Authentication token has expired. The user must authenticate again.")
    if known not in _answers:
        _answers[known] = asyncio.get_running_loop().create_future()
        record = session.note(text)
        async with session.turn:  # fakesnow has one connection for a session, which takes one statement at a time
            answer = await fakesnow.server.query_request(request)
        result = json.loads(answer.body)
        if not result.get("success"):
            record["error"] = int(result["code"])
        _answers[known].set_result(answer)
    answer = await _answers[known]
    if fault == "answer_lost":
        session.is_cut = True
        session.note(CUT)
    if fault == "answer_late":
        return Response(status_code=503)  # as from a balancer that waited no longer; the connector asks again
    return _Dropped() if fault else answer


async def session(request: Request) -> Response:
    """Sign out, which rolls back what is open, or keep alive."""
    token = request.headers.get("Authorization", "")[17:-1]
    known = _sessions.get(token)
    if known is not None and known.is_cut:
        return _Dropped()
    if known is not None and request.query_params.get("delete"):
        known.note(SIGNED_OUT)
        _end(token)
        return JSONResponse({"data": None, "code": None, "message": None, "success": True})
    return await fakesnow.server.session(request)


async def seen(request: Request) -> Response:
    """Which statements arrived from sessions of a database."""
    return JSONResponse(_seen.get(json.loads(await request.body())["database"], []))


async def fault(request: Request) -> Response:
    """Script a fault."""
    told = json.loads(await request.body())
    if told["kind"] not in FAULTS:
        raise ValueError(told["kind"])
    _faults.append(_Fault(told["database"], re.compile(told["pattern"]), told["kind"], told["skip"]))
    return JSONResponse({})


async def drop(request: Request) -> Response:
    """Forget a database and its sessions."""
    database = json.loads(await request.body())["database"]
    for token in [token for token, session in _sessions.items() if session.database == database]:
        _end(token)
    _seen.pop(database, None)
    _answers.clear()
    fakesnow.server.shared_fs.duck_conn.execute(f'DETACH DATABASE IF EXISTS "{database}"')
    return JSONResponse({})


def _end(token: str) -> None:
    _sessions.pop(token)
    connection = fakesnow.server.sessions.pop(token, None)
    if connection is not None:
        emulator_transactions.forget(connection)
        connection._duck_conn.close()


def _fault_of(session: _Session, text: str, request: str) -> str | None:
    for scripted in _faults:
        if scripted.database != session.database:
            continue
        if request in scripted.requests:
            return None
        if not scripted.is_over and scripted.pattern.search(text):
            scripted.skip -= 1
            if scripted.skip >= 0:
                continue
            scripted.is_over = True
            scripted.requests.add(request)
            return scripted.kind
    return None


def _refusal(code: str, message: str) -> Response:
    return JSONResponse({"data": {}, "code": code, "message": message, "success": False})


def main() -> None:
    """Serve until the parent goes away or asks to stop."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    emulator_speed.install()
    emulator_sql.install()
    emulator_account.install()
    emulator_dbt.install()
    replaced = {"/session/v1/login-request": login, "/queries/v1/query-request": query, "/session": session}
    routes = fakesnow.server.app.router.routes
    routes[:] = [route for route in routes if route.path not in replaced]
    routes += [Route(path, endpoint, methods=["POST"]) for path, endpoint in replaced.items()]
    routes += [Route(f"/emulator/{made.__name__}", made, methods=["POST"]) for made in (seen, fault, drop)]
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server = uvicorn.Server(uvicorn.Config(fakesnow.server.app, log_level="critical", access_log=False))
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
    server.run(sockets=[listener])


def _end_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
