"""What streams of every kind of source without a log say alike: key and ``max_vanished``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.sources.files.options import read_options
from adapters.sources.polling.declared import MAX_VANISHED, key_of, max_vanished_of
from adapters.sources.rest.endpoints import stream_options
from adapters.sources.rest.options import parse_options
from adapters.sources.sql.reading import reading_of
from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import StreamSpec


def spec(**read: object) -> StreamSpec:
    return StreamSpec("orders", "orders.csv", "shop", read=read)


def rest(stream: StreamSpec) -> object:
    return stream_options(stream, parse_options("shop", {"url": "https://api.example.com"}))


KINDS: dict[str, Callable[[StreamSpec], object]] = {"sql": reading_of, "files": read_options, "rest": rest}


@pytest.mark.parametrize(
    ("given", "key"), [("id", ("id",)), (["id"], ("id",)), (["id", "no"], ("id", "no")), ([], ()), (None, None)]
)
def test_a_key_is_one_name_or_several(given: object, key: tuple[str, ...] | None) -> None:
    assert key_of(spec(key=given)) == key


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_takes_a_key_alike(kind: str) -> None:
    assert {KINDS[kind](spec(key="sku")).key, KINDS[kind](spec(key=["sku"])).key} == {("sku",)}  # type: ignore[attr-defined] # all three have it


@pytest.mark.parametrize(("given", "share"), [(0, 0.0), (0.25, 0.25), (1, 1.0)])
def test_a_share_may_be_gone_at_once(given: object, share: float) -> None:
    assert max_vanished_of(spec(max_vanished=given)) == share
    assert max_vanished_of(spec()) == MAX_VANISHED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [-0.1, 1.5, "half", float("nan")])
def test_what_is_no_share_is_refused_by_every_kind_of_source(kind: str, given: object) -> None:
    with pytest.raises(ConfigError) as refused:
        KINDS[kind](spec(max_vanished=given))
    assert (refused.value.what, refused.value.where) == (
        "max_vanished is no share between 0 and 1",
        "streams.orders.read",
    )
