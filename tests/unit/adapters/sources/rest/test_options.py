"""What a pipeline file says of an API and its streams, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import adapters.sources.rest
from adapters.sources.rest.documents import Shape
from adapters.sources.rest.endpoints import Deletes, Endpoint, StreamOptions, Unlisted, stream_options
from adapters.sources.rest.hosts import checked_next
from adapters.sources.rest.options import AuthKind, AuthOptions, RestOptions, parse_options
from adapters.sources.rest.paging import PageKind, Paging
from entrypoints.pipeline_file import load_pipeline
from entrypoints.settings import Settings
from pipeline.domain.errors import ConfigError, SourceRejected
from pipeline.domain.stream import StreamSpec

URL = "https://api.example.com/v1"
CANARY = "canary-41"


def told(relation: str = "/orders", **read: Any) -> StreamOptions:
    return stream_options(StreamSpec("orders", relation, "crm", read=read), RestOptions(URL))


FILE = """
source:
  kind: rest
  url: https://api.example.com/v1
  auth: {{kind: {auth}}}
  interval: 100ms
  max_response: 1MB
  paginate: {{kind: cursor, path: meta.next, parameter: after}}
warehouse: {{kind: duckdb, path: var/crm.duckdb}}
streams:
  items:
    relation: /orders/{{orders.id}}/items
    read:
      record: data
      key: [order, line]
      carry: {{orders.id: order}}
      parents: {{orders: {{record: data, paginate: {{kind: page, size: 50, size_parameter: limit}}}}}}
      columns: {{order: int64, line: int64, at: timestamptz}}
      cursor: {{column: at, parameter: since, overlap: 5m}}
      deletes: none
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "crm.yaml"
    path.write_text(text)
    return path


def test_a_pipeline_file_says_how_an_api_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, FILE.format(auth="bearer, token: '${CRM_TOKEN}'"))
    spec = load_pipeline(str(path), Settings("test", tmp_path, tmp_path), environment={"CRM_TOKEN": CANARY}).spec
    options = parse_options(spec.source.name, spec.source.options)
    assert options == RestOptions(
        url="https://api.example.com/v1",
        auth=AuthOptions(AuthKind.BEARER, token=CANARY),
        interval_s=0.1,
        max_response_bytes=1024 * 1024,
        paginate={"kind": "cursor", "path": "meta.next", "parameter": "after"},
    )
    assert CANARY not in repr((spec, options))
    stream = stream_options(spec.streams["items"], options)
    paged = Paging(PageKind.PAGE, parameter="page", first=1, size=50, size_parameter="limit")
    assert stream.endpoint == Endpoint(
        "/orders/{orders.id}/items", "data", paging=Paging(PageKind.CURSOR, path="meta.next", parameter="after")
    )
    assert stream.parents == {"orders": Endpoint("/orders", "data", paging=paged)}
    assert (stream.key, stream.carried) == (("order", "line"), {("orders", "id"): "order"})
    assert (stream.since is not None and stream.since.overlap, stream.deletes) == (300.0, Deletes.NONE)


@pytest.mark.parametrize(
    ("auth", "problem"),
    [
        (f"bearer, token: {CANARY}", "secret"),
        ("magic", "magic"),
        ("basic, user: x", "user"),
    ],
)
def test_a_pipeline_file_that_is_wrong_is_refused_without_its_secret(tmp_path: Path, auth: str, problem: str) -> None:
    path = written(tmp_path, FILE.format(auth=auth))
    with pytest.raises(ConfigError) as raised:
        load_pipeline(str(path), Settings("test", tmp_path, tmp_path), environment={})
    assert problem in str(raised.value)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"url": "ftp://example.com"},
        {"url": "api.example.com"},
        {"url": "https://me:secret@example.com"},
        {"url": "https://example.com?key=1"},
        {"url": "http://api.example.com"},
        {"url": URL, "retries": -1},
        {"url": URL, "unknown": 1},
        {"url": URL, "auth": {"kind": "api_key"}},
        {"url": URL, "auth": {"kind": "client_credentials", "token_url": "/token", "client_id": "x"}},
    ],
)
def test_options_that_cannot_work_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        parse_options("crm", given)


def test_a_stream_has_defaults_that_read_a_plain_list() -> None:
    assert told() == StreamOptions(endpoint=Endpoint("/orders"), key=("id",))
    assert told(columns={"id": "int64"}).unlisted is Unlisted.IGNORE
    assert told(key="name", shape="map").endpoint.shape is Shape.MAP
    assert told(deletes="replace").key == ()


def test_parents_of_parents_are_carried_from_the_top_down() -> None:
    stream = told(
        "/shops/{shops.id}/orders/{orders.meta.no}/items",
        parents={"orders": {"path": "/shops/{shops.id}/orders"}, "shops": {}},
        carry={"shops.region": "region"},
    )
    assert stream.carried == {
        ("shops", "id"): "shops_id",
        ("orders", "meta.no"): "orders_meta_no",
        ("shops", "region"): "region",
    }
    assert stream.key == ("shops_id", "orders_meta_no", "id")


@pytest.mark.parametrize(
    ("relation", "read"),
    [
        ("/orders", {"deletes": "none"}),
        ("/orders", {"deletes": "flag"}),
        ("/orders", {"deleted": {"column": "gone"}}),
        ("/orders", {"deletes": "replace", "cursor": {"column": "at", "parameter": "since"}}),
        (
            "/orders",
            {
                "deletes": "diff",
                "deleted": {"column": "gone"},
                "cursor": {"column": "at", "parameter": "since"},
            },
        ),
        ("/orders", {"cursor": {"column": "at", "parameter": "since", "format": "odd"}}),
        ("/orders", {"paginate": {"kind": "page", "size": 10}}),
        ("/orders/{orders.id}/items", {}),
        (
            "/orders/{orders.id}/items",
            {"parents": {"orders": {"path": "/{items.id}"}, "items": {"path": "/{orders.id}"}}},
        ),
        ("/{a.id}/{b.id}", {"parents": {"a": {}, "b": {}}}),
        ("/orders", {"carry": {"orders.id": "x"}}),
    ],
)
def test_what_does_not_go_together_is_refused(relation: str, read: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        told(relation, **read)


@pytest.mark.parametrize(
    ("base", "current", "target", "url"),
    [
        (URL, f"{URL}/orders", "?page=2", f"{URL}/orders?page=2"),
        (URL, f"{URL}/orders", "/v2/orders", "https://api.example.com/v2/orders"),
        (URL, f"{URL}/orders", "https://api.example.com:443/x", "https://api.example.com:443/x"),
        ("http://localhost", "http://localhost/x", "https://localhost/y", "https://localhost/y"),
    ],
)
def test_addresses_of_the_same_host_are_followed(base: str, current: str, target: str, url: str) -> None:
    assert checked_next(current, target, base=base, what="it leads") == url


@pytest.mark.parametrize(
    "target",
    [
        "",
        "https://example.com/x",
        "https://api.example.com.evil.example/x",
        "https://api.example.com:8443/x",
        "https://api.example.com:x/",
        "http://api.example.com/x",
        "https://api.example.com@evil.example/x",
        "https://me@api.example.com/x",
        "//evil.example/x",
        "file:///etc/passwd",
    ],
)
def test_addresses_of_other_hosts_are_not(target: str) -> None:
    with pytest.raises(SourceRejected):
        checked_next(f"{URL}/orders", target, base=URL, what="it leads")


def test_the_example_of_the_guide_is_one_that_works(tmp_path: Path) -> None:
    guide = (Path(adapters.sources.rest.__file__).parent / "README.md").read_text(encoding="utf-8")
    path = written(tmp_path, guide.split("```yaml\n")[1].split("```")[0])
    groups = load_pipeline(str(path), Settings("test", tmp_path, tmp_path), environment={"CRM_TOKEN": "x"}).groups
    read = {
        name: stream_options(spec, parse_options(group.source.name, group.source.options))
        for group in groups
        for name, spec in group.streams.items()
    }
    assert {name: (stream.key, stream.deletes) for name, stream in read.items()} == {
        "customers": (("id",), Deletes.DIFF),
        "orders": (("id",), Deletes.FLAG),
        "items": (("order_id", "line"), Deletes.DIFF),
    }
