"""What APIs do on bad days: read to the end all the same, or an error with nothing lost and nothing deleted (I3)."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from adapters.sources.rest.client import Client, Request
from adapters.sources.rest.options import parse_options
from pipeline.domain.errors import PipelineError, SourceError, SourceRejected, SourceUnreachable
from tests.support.rest_server import (
    Api,
    Asked,
    Reply,
    always,
    cursored,
    linked,
    on_page,
    paged,
    tokens,
    whole,
)
from tests.support.rest_world import RestWorld

pytestmark = pytest.mark.integration

PAGED: dict[str, object] = {"record": "data", "paginate": {"kind": "page"}, "unlisted": "ignore"}
CURSOR: dict[str, object] = {
    "record": "data",
    "paginate": {"kind": "cursor", "path": "meta.next", "parameter": "cursor"},
    "unlisted": "ignore",
}
CANARY = "canary-5e1f"


def orders(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "status": "new"} for number in range(1, count + 1)]


def begun(api: Api, world: RestWorld, rows: list[dict[str, Any]], read: dict[str, object]) -> None:
    """A stream of ``rows`` that is copied already."""
    api.endpoints["/orders"] = cursored(rows, size=1) if read is CURSOR else paged(rows, size=1)
    world.read = read
    world.run()
    assert world.rows() == rows


def refused(api: Api, world: RestWorld, rows: list[dict[str, Any]], kind: type[PipelineError]) -> PipelineError:
    """The error of a run that changes nothing, after which the next one is right."""
    before, log = world.rows(), world.changelog()
    with pytest.raises(kind) as raised:
        world.run()
    assert (world.rows(), world.changelog()) == (before, log)
    api.forget()
    world.run()
    assert world.rows() == rows
    return raised.value


def test_a_page_that_fails_for_a_while_is_read_in_the_end(api: Api, world: RestWorld) -> None:
    rows = orders(40)
    api.endpoints["/orders"] = paged(rows, size=1)
    world.read = PAGED
    api.times(2, on_page(37, Reply({"error": "busy"}, status=502)))
    world.run()
    assert world.rows() == rows
    assert sum("page=37" in path for path in api.paths()) >= 3


def test_a_page_that_fails_for_good_loses_and_deletes_nothing(api: Api, world: RestWorld) -> None:
    rows = orders(40)
    begun(api, world, rows, PAGED)
    rows[0]["status"] = "paid"
    del rows[39]
    api.faults.append(on_page(37, Reply({"error": "down"}, status=500)))
    error = refused(api, world, rows, SourceUnreachable)
    assert error.facts == {"status": 500}
    assert str(error) == (
        f"source crm, stream orders: page 37 of {api.url}/orders answered 500, 4 times The API may be down, or its "
        "answers broken: try again later, and see its status page."
    )


def test_rows_that_move_to_another_page_while_it_is_read_are_read_again(api: Api, world: RestWorld) -> None:
    rows = orders(20)
    api.endpoints["/orders"] = paged(rows, size=5)
    world.read = PAGED
    world.run()

    def shift(asked: Asked) -> Reply | None:
        if asked.query.get("page") == "3":
            rows.insert(0, {"id": 100, "status": "new"})  # every row moves on, one of them to the next page
        return None

    with_shift = [shift]
    api.faults[:] = [lambda asked: with_shift.pop()(asked) if asked.query.get("page") == "3" and with_shift else None]
    world.run()
    assert sorted(world.rows(), key=lambda row: row["id"]) == sorted(rows, key=lambda row: row["id"])
    assert world.changelog()[20:] == [("insert", 100)]


def test_rows_that_move_before_where_it_was_read_are_not_taken_for_gone(api: Api, world: RestWorld) -> None:
    rows = orders(20)
    api.endpoints["/orders"] = paged(rows, size=5)
    world.read = PAGED
    world.run()
    before = [lambda: rows.pop(0)]  # row 11 moves to the page that was read last
    api.faults[:] = [lambda asked: before.pop()() and None if asked.query.get("page") == "3" and before else None]
    world.run()
    assert world.rows() == rows
    assert world.changelog()[20:] == [("delete", 1)]


def test_rows_that_move_up_while_it_is_read_are_noticed_by_the_total(api: Api, world: RestWorld) -> None:
    rows = orders(20)
    api.endpoints["/orders"] = paged(rows, size=2, total=True)
    world.read = {**PAGED, "paginate": {"kind": "page", "total": "total"}}
    world.run()

    def shift(asked: Asked) -> Reply | None:
        if asked.query.get("page") == "5":
            del rows[0]
        return None

    api.once(lambda asked: shift(asked))
    with pytest.raises(SourceError) as raised:
        world.run()
    assert raised.value.facts == {"case": "shifted"}
    assert [row["id"] for row in world.rows()] == list(range(1, 21))
    api.forget()
    world.run()
    assert world.rows() == rows


def test_a_repeated_cursor_is_an_error(api: Api, world: RestWorld) -> None:
    rows = orders(5)
    begun(api, world, rows, CURSOR)
    api.faults.append(
        lambda asked: (
            Reply({"data": [{"id": 77, "status": "new"}], "meta": {"next": "c1"}})
            if asked.query.get("cursor") == "c3"
            else None
        )
    )
    assert refused(api, world, rows, SourceError).facts == {"case": "repeated_page"}


def test_an_empty_page_with_a_next_one_is_read_past(api: Api, world: RestWorld) -> None:
    rows = orders(5)
    begun(api, world, rows, CURSOR)
    rows[4]["status"] = "paid"
    answers = {
        "c2": Reply({"data": [], "meta": {"next": "e2"}}),
        "e2": Reply({"data": [rows[2]], "meta": {"next": "c3"}}),
    }
    api.faults.append(lambda asked: answers.get(asked.query.get("cursor", "")))
    world.run()
    assert world.rows() == rows
    assert world.changelog()[5:] == [("update", 5)]


def test_empty_pages_without_end_are_an_error(api: Api, world: RestWorld) -> None:
    rows = orders(5)
    begun(api, world, rows, CURSOR)
    numbers = iter(range(1_000_000))
    api.faults.append(lambda _asked: Reply({"data": [], "meta": {"next": f"n{next(numbers)}"}}))
    assert refused(api, world, rows, SourceError).facts == {"case": "endless"}


def test_a_missing_next_cursor_where_there_is_more_is_an_error(api: Api, world: RestWorld) -> None:
    rows = orders(5)
    paginate = {"kind": "cursor", "path": "meta.next", "parameter": "cursor", "has_more": "meta.more"}
    begun(api, world, rows, CURSOR)
    world.read = {**CURSOR, "paginate": paginate}
    api.faults.append(
        lambda asked: Reply({"data": [rows[2]], "meta": {"more": True}}) if asked.query.get("cursor") == "c2" else None
    )
    assert refused(api, world, rows, SourceError).facts == {"case": "incomplete"}


def test_fewer_rows_than_the_api_counts_are_an_error(api: Api, world: RestWorld) -> None:
    rows = orders(30)
    api.endpoints["/orders"] = linked(rows)
    world.read = {"paginate": {"kind": "link", "total_header": "X-Total-Count"}, "unlisted": "ignore"}
    world.run()
    assert world.rows() == rows
    api.faults.append(
        lambda asked: Reply(rows[10:20], headers={"X-Total-Count": "30"}) if asked.query.get("after") == "10" else None
    )
    assert refused(api, world, rows, SourceError).facts == {"case": "incomplete"}


@pytest.mark.parametrize(
    ("reply", "case"),
    [
        (Reply({"data": [], "errors": [{"message": CANARY}]}), "error_body"),
        (Reply({"message": CANARY}), "no_records"),
        (Reply({"data": None}), "no_records"),
        (Reply({"data": [1, 2]}), "no_records"),
    ],
)
def test_an_error_that_is_answered_as_good_is_an_error(api: Api, world: RestWorld, reply: Reply, case: str) -> None:
    rows = orders(5)
    begun(api, world, rows, {**PAGED, "error": "errors"})
    api.faults.append(on_page(3, reply))
    error = refused(api, world, rows, SourceError)
    assert error.facts == {"case": case}
    assert CANARY not in str(error)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(f"<html>sign in {CANARY}</html>".encode(), headers={"Content-Type": "text/html; charset=utf-8"}),
        Reply(b"id,status\n1,new\n", headers={"Content-Type": "text/csv"}),
    ],
)
def test_a_page_that_is_no_json_is_an_error(api: Api, world: RestWorld, reply: Reply) -> None:
    rows = orders(5)
    begun(api, world, rows, PAGED)
    api.faults.append(on_page(3, reply))
    error = refused(api, world, rows, SourceError)
    assert error.facts == {"status": 200}
    assert CANARY not in str(error)


BODY: dict[str, Any] = {"data": [{"id": 3, "status": CANARY}]}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(BODY, cut_after=12), SourceUnreachable),
        (Reply(BODY, cut_after=12, is_reset=True), SourceUnreachable),
        (Reply(BODY, cut_after=12, is_sized=False), SourceError),
        (Reply(BODY, cut_after=0, is_reset=True), SourceUnreachable),
        (Reply(b'{"data": [{"id": 3, "status": "\xff"}]}'), SourceError),
        (Reply(b'{"data": ' + b"[" * 100_000), SourceError),
    ],
    ids=["shorter than told", "reset", "cut without a length", "nothing", "no text", "endlessly nested"],
)
def test_an_answer_that_is_broken_is_asked_for_again_and_then_an_error(
    api: Api, world: RestWorld, reply: Reply, kind: type[PipelineError]
) -> None:
    rows = orders(5)
    begun(api, world, rows, PAGED)
    api.once(on_page(3, reply))
    assert world.loaded(world.run()) == 0
    api.faults.append(on_page(3, reply))
    assert CANARY not in str(refused(api, world, rows, kind))


def test_a_limit_is_waited_for_as_long_as_the_api_asks(api: Api, world: RestWorld) -> None:
    rows = orders(5)
    begun(api, world, rows, PAGED)
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    api.once(on_page(2, Reply({}, status=429, headers={"Retry-After": "1"})))
    api.once(on_page(4, Reply({}, status=503, headers={"Retry-After": soon})))
    started = datetime.now(UTC)
    world.run()
    assert datetime.now(UTC) - started >= timedelta(seconds=1)
    assert world.rows() == rows


def test_a_limit_that_lasts_too_long_ends_the_run(api: Api, world: RestWorld) -> None:
    rows = orders(5)
    begun(api, world, rows, PAGED)
    world.options = {"max_wait_s": 2.0}
    api.faults.append(on_page(2, Reply({}, status=429, headers={"Retry-After": "3600"})))
    error = refused(api, world, rows, SourceUnreachable)
    assert error.what == f"page 2 of {api.url}/orders answered 429 and asks to wait 3,600 s"


def test_closing_ends_a_wait_for_a_limit(api: Api) -> None:
    api.faults.append(always(Reply({}, status=429, headers={"Retry-After": "55"})))
    client = Client("crm", parse_options("crm", {"url": api.url}))
    closing = threading.Timer(0.5, client.close)
    closing.start()
    started = time.monotonic()
    with pytest.raises(SourceUnreachable, match="answered 429"):
        client.get(Request(url=f"{api.url}/orders", label="page 1", where="stream orders"))
    assert time.monotonic() - started < 30
    closing.join()


def test_a_token_that_expires_in_the_middle_is_renewed_once_and_the_page_read_again(api: Api, world: RestWorld) -> None:
    rows = orders(50)
    issue, check = tokens(lifetime_uses=37)
    api.endpoints["/orders"] = paged(rows, size=1)
    api.endpoints["/token"] = issue
    api.faults.append(check)
    auth = {"kind": "client_credentials", "token_url": "/token", "client_id": "crm", "client_secret": "s3cret"}
    world.options = {"auth": auth}
    world.read = {**PAGED, "columns": {"id": "int64", "status": "string"}}
    world.run()
    assert world.rows() == rows
    pages = [asked.query["page"] for asked in api.requests if asked.path == "/orders"]
    # First it is made sure that the endpoint can be read at all; then 36 pages, and the 37th twice.
    copied = pages[: pages.index("51") + 1]
    assert copied == ["1", *map(str, range(1, 38)), *map(str, range(37, 52))]


def test_a_token_that_is_refused_right_after_it_was_renewed_is_not_renewed_for_ever(api: Api, world: RestWorld) -> None:
    issue, check = tokens(lifetime_uses=0)
    api.endpoints |= {"/orders": whole(orders(3)), "/token": issue}
    api.faults.append(check)
    auth = {"kind": "client_credentials", "token_url": "/token", "client_id": "crm", "client_secret": "s3cret"}
    world.options = {"auth": auth}
    with pytest.raises(SourceRejected) as raised:
        world.run()
    assert raised.value.facts == {"status": 401}
    assert [asked.path for asked in api.requests] == ["/token", "/orders", "/token", "/orders"]


@pytest.mark.parametrize("target", ["http://localhost:1/orders", "https://example.com/orders", "//example.com/orders"])
def test_nothing_is_sent_to_another_host(api: Api, world: RestWorld, target: str) -> None:
    api.endpoints["/orders"] = always(Reply({}, status=302, headers={"Location": target}))  # type: ignore[assignment]
    with pytest.raises(SourceRejected) as raised:
        world.run()
    assert "another host" in raised.value.what
    api.endpoints["/orders"] = lambda _asked: Reply({"data": [{"id": 1}], "next": target})
    world.read = {"record": "data", "paginate": {"kind": "next_url"}}
    with pytest.raises(SourceRejected) as raised:
        world.run()
    assert "another host" in raised.value.what


def test_a_redirect_on_the_same_host_is_followed(api: Api, world: RestWorld) -> None:
    rows = orders(3)
    api.endpoints |= {
        "/orders": lambda _asked: Reply({}, status=301, headers={"Location": "/v2/orders"}),
        "/v2/orders": whole(rows),
    }
    world.read = {"unlisted": "ignore"}
    world.run()
    assert world.rows() == rows


@pytest.mark.parametrize("is_gzipped", [False, True])
def test_an_answer_that_is_too_large_is_not_read_to_its_end(api: Api, world: RestWorld, is_gzipped: bool) -> None:
    large = [{"id": 1, "status": "x" * 200_000}]
    api.endpoints["/orders"] = lambda _asked: Reply(large, is_gzipped=is_gzipped)
    world.options = {"max_response_bytes": 100_000}
    with pytest.raises(SourceError) as raised:
        world.run()
    assert raised.value.facts == {"case": "too_large"}


def test_a_record_without_its_key_is_an_error(api: Api, world: RestWorld) -> None:
    rows = orders(5)
    begun(api, world, rows, PAGED)
    api.faults.append(on_page(3, Reply({"data": [{"status": CANARY}]})))
    error = refused(api, world, rows, SourceError)
    assert error.what == "1 of 1 records of a page have no id, which is part of the key"


def test_a_server_that_does_not_know_the_parameter_of_the_page_is_noticed(api: Api, world: RestWorld) -> None:
    api.endpoints["/orders"] = lambda _asked: Reply({"data": orders(3)})
    world.read = PAGED
    with pytest.raises(SourceError) as raised:
        world.run()
    assert raised.value.facts == {"case": "repeated_page"}
    assert len(api.requests) == 2


def test_secrets_are_in_no_error_and_no_log(api: Api, world: RestWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    api.endpoints["/orders"] = whole(orders(3))
    world.options = {
        "auth": {"kind": "api_key", "api_key": CANARY, "query": "key"},
        "headers": {"X-Secret": CANARY},
        "parameters": {"tenant": CANARY},
    }
    world.run()
    assert all(asked.query == {"key": CANARY, "tenant": CANARY} for asked in api.requests)
    texts = [repr(world.session().source)]
    for reply in (Reply({}, status=500), Reply({}, status=403), Reply(b"<html>", headers={"Content-Type": "a/b"})):
        api.faults[:] = [always(reply)]
        with pytest.raises(PipelineError) as raised:
            world.run()
        error: BaseException | None = raised.value
        while error is not None:
            texts.append(f"{error!r} {error}")
            error = error.__cause__
    assert CANARY not in " ".join(texts) + caplog.text
