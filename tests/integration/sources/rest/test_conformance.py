"""Every way of reading an API keeps what sources without a log owe."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import adapters.sources.rest
from adapters.sources.polling.detection import PollDetector
from adapters.sources.polling.source import PollSource
from pipeline.domain.change import Operation
from pipeline.domain.stream import StreamSpec
from tests.conformance.polled import MisfitsHarness, PolledDeletesConformance, PolledMisfitsConformance
from tests.conformance.source import Change
from tests.support.rest_server import Api, Reply, on_page, since

pytestmark = pytest.mark.integration

COLUMNS = {"id": "int64", "note": "string", "touched": "timestamp[us, UTC]", "size": "int64"}
CURSOR = {"column": "touched", "parameter": "since", "format": "iso_seconds"}

OPENAPI = {
    "openapi": "3.1.0",
    "paths": {
        "/orders": {
            "get": {
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Page"}}}}
                }
            }
        }
    },
    "components": {
        "schemas": {
            "Page": {
                "type": "object",
                "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Order"}}},
            },
            "Order": {
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "note": {"type": ["string", "null"]},
                    "touched": {"type": "string", "format": "date-time"},
                    "size": {"type": "integer"},
                },
            },
        }
    },
}

DELETES: dict[str, dict[str, object]] = {"pages": {}, "cursor and keys": {"cursor": CURSOR, "deletes": "diff"}}
OTHERS: dict[str, dict[str, object]] = {
    "cursor": {"cursor": CURSOR | {"overlap": 3.0}},
    "ordered cursor": {"cursor": CURSOR | {"ordered": True}},
    "marked as deleted": {"cursor": CURSOR, "deleted": {"column": "gone"}},
}


class RestHarness(MisfitsHarness):
    has_marks = False  # of a list of many pages none tells of the others

    def __init__(self, api: Api, read: Mapping[str, object]) -> None:
        self._api = api
        self._read = {
            "record": "data",
            "paginate": {"kind": "page"},
            "columns": COLUMNS,
            "max_vanished": 0.75,
            **read,
        }
        self._at = datetime(2026, 1, 1, tzinfo=UTC)
        self._records: list[dict[str, Any]] = []
        self._url = api.url
        api.endpoints["/openapi.json"] = lambda _asked: Reply(OPENAPI)
        api.endpoints["/orders"] = since(self._records, column="touched", size=15)

    @property
    def specs(self) -> dict[str, StreamSpec]:
        return {"orders": StreamSpec("orders", "/orders", "shop", read=self._read)}

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(COLUMNS)

    @property
    def options(self) -> dict[str, object]:
        return {"url": self._url, "poll_s": 0.05, "backoff_s": 0.0, "retries": 1, "timeout_s": 5.0}

    def source(self) -> PollSource:
        return adapters.sources.rest.build("shop", self.options)

    def detector(self) -> PollDetector:
        return adapters.sources.rest.build_detector("shop", self.options)

    def commit(self, *changes: Change) -> None:
        for _, operation, row in changes:
            self._at += timedelta(seconds=1)
            at = self._at.strftime("%Y-%m-%dT%H:%M:%SZ")
            is_marked = operation is Operation.DELETE and "deleted" in self._read
            self._records[:] = [record for record in self._records if record["id"] != row["id"]]
            if operation is not Operation.DELETE or is_marked:
                record = {"id": row["id"], "note": row.get("note"), "touched": at, "size": row.get("size")}
                self._records.append({**record, "gone": is_marked})

    def spoil(self, number: int) -> tuple[str, str]:
        self.commit(("orders", Operation.UPDATE, {"id": number, "note": "odd", "size": "a lot"}))
        return "size", "a lot"

    def rows(self, stream: str) -> dict[int, dict[str, Any]]:
        return {
            record["id"]: {
                "id": record["id"],
                "note": record["note"],
                "touched": datetime.fromisoformat(record["touched"]),
                "size": record["size"],
            }
            for record in self._records
            if not record["gone"]
        }

    @contextmanager
    def failing_half_way(self) -> Iterator[None]:
        self._api.faults.append(on_page(2, Reply({}, status=500)))
        yield
        self._api.faults.clear()

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._url = f"http://127.0.0.1:{free.getsockname()[1]}"
            yield
        self._url = self._api.url


class TestDeletes(PolledDeletesConformance, PolledMisfitsConformance):
    @pytest.fixture(params=DELETES.values(), ids=DELETES)
    def harness(self, api: Api, request: pytest.FixtureRequest) -> MisfitsHarness:
        return RestHarness(api, request.param)


class TestCursors(PolledMisfitsConformance):
    @pytest.fixture(params=OTHERS.values(), ids=OTHERS)
    def harness(self, api: Api, request: pytest.FixtureRequest) -> MisfitsHarness:
        return RestHarness(api, request.param)
