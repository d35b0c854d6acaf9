"""What an OpenAPI document tells of lists, read from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.sources.rest.columns import schema_of
from adapters.sources.rest.extractor import RestExtractor
from adapters.sources.rest.options import parse_options
from pipeline.domain.errors import ConfigError
from pipeline.domain.schema import StreamSchema
from pipeline.ports.source import Relation

ORDER = {
    "type": "object",
    "allOf": [{"$ref": "#/definitions/Named"}],
    "properties": {
        "total": {"type": "number"},
        "day": {"type": "string", "format": "date"},
        "paid": {"type": "boolean"},
        "lines": {"type": "array", "items": {"type": "object"}},
    },
}
NAMED = {"properties": {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}}}
WORDS = {"id": "int64", "name": "string", "total": "double", "day": "date32", "paid": "bool", "lines": "json"}
LIST = {"type": "array", "items": {"$ref": "#/definitions/Order"}}


def get(schema: Any, *parameters: str) -> dict[str, Any]:
    listed = [{"name": name, "in": "query"} for name in parameters]
    return {"get": {"parameters": listed, "responses": {"200": {"content": {"application/json": {"schema": schema}}}}}}


def relations(tmp_path: Path, paths: dict[str, Any]) -> tuple[Relation, ...]:
    path = tmp_path / "openapi.json"
    path.write_text(
        json.dumps(
            {"paths": paths, "definitions": {"Order": ORDER, "Named": NAMED, "Loop": {"$ref": "#/definitions/Loop"}}}
        )
    )
    options = parse_options("crm", {"url": "https://api.example.com", "openapi": str(path)})
    return RestExtractor("crm", options).discover()


def test_lists_are_told_with_their_columns_and_how_they_are_read(tmp_path: Path) -> None:
    page = {"type": "object", "properties": {"items": LIST, "errors": LIST, "next_cursor": {"type": "string"}}}
    found = relations(
        tmp_path,
        {
            "/orders": get(LIST),
            "/paged": get(LIST, "page"),
            "/cursored": get(page, "cursor"),
            "/linked": get({"properties": {"data": LIST, "next": {"type": "string", "format": "uri"}}}),
        },
    )
    schema = schema_of(WORDS, ("id",))
    columns = {"columns": WORDS}
    assert found == (
        Relation("/orders", "endpoint", schema, read=columns),
        Relation("/paged", "endpoint", schema, read={"paginate": {"kind": "page", "parameter": "page"}} | columns),
        Relation(
            "/cursored",
            "endpoint",
            schema,
            read={"record": "items", "paginate": {"kind": "cursor", "path": "next_cursor", "parameter": "cursor"}}
            | columns,
        ),
        Relation(
            "/linked",
            "endpoint",
            schema,
            read={"record": "data", "paginate": {"kind": "next_url", "path": "next"}} | columns,
        ),
    )


def test_what_is_no_list_is_left_out_and_what_needs_a_hand_says_why(tmp_path: Path) -> None:
    found = relations(
        tmp_path,
        {
            "/one": get({"$ref": "#/definitions/Order"}),
            "/texts": get({"type": "array", "items": {"type": "string"}}),
            "/loop": get({"$ref": "#/definitions/Loop"}),
            "/gone": get({"$ref": "#/definitions/None"}),
            "/post": {"post": {}},
            "/orders/{id}/lines": get(LIST),
            "/keyless": get({"type": "array", "items": {"properties": {"name": {"type": "string"}}}}),
        },
    )
    assert [(relation.name, relation.reason) for relation in found] == [
        ("/orders/{id}/lines", "/orders/{id}/lines is below another endpoint: write it by hand, with parents"),
        ("/keyless", "/keyless tells of no member id: write it by hand, with its key"),
    ]
    assert found[1].schema == schema_of({"name": "string"}, ())
    assert isinstance(found[1].schema, StreamSchema)


def test_a_document_that_cannot_be_read_is_refused() -> None:
    options = parse_options("crm", {"url": "https://api.example.com", "openapi": "./no/such/file.json"})
    with pytest.raises(ConfigError):
        RestExtractor("crm", options).discover()
