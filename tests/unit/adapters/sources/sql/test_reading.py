"""What a stream's ``read`` mapping may say, and what does not go together."""

from __future__ import annotations

import pytest

from adapters.sources.sql.reading import Detect, Reading, reading_of
from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import StreamSpec


def read(**given: object) -> Reading:
    return reading_of(StreamSpec("orders", "sales.orders", "shop", read=given))


def test_nothing_said_means_all_rows_compared_by_hash() -> None:
    assert read() == Reading("sales.orders", detect=Detect.HASH)


def test_a_cursor_means_following_it() -> None:
    assert read(
        cursor="at", overlap=60.0, lag_s=5.0, key="id", deletes="diff", every_s=3600.0, max_vanished=0.1
    ) == Reading(
        "sales.orders",
        detect=Detect.CURSOR,
        cursor=("at",),
        overlap=60.0,
        lag_s=5.0,
        key=("id",),
        finds_deletes=True,
        every_s=3600.0,
        max_vanished=0.1,
    )


def test_a_query_loses_the_semicolon_at_its_end() -> None:
    assert read(query=" SELECT 1 AS a ; ").query == "SELECT 1 AS a"


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"detect": "cursor"}, "detect: cursor needs a cursor"),
        ({"table": "a", "query": "b"}, "table stands beside query"),
        ({"detect": "hash", "cursor": "at"}, "cursor has no effect with detect: hash"),
        ({"overlap": 5}, "overlap has no effect with detect: hash"),
        ({"deletes": "diff"}, "deletes has no effect with detect: hash"),
        ({"cursor": "at", "every_s": 5}, "every says how often keys are compared"),
        ({"cursor": "at", "lag_s": -1}, "lag is no number of zero or more"),
        ({"max_vanished": 2}, "max_vanished is no share between 0 and 1"),
        ({"curser": "at"}, "unknown key curser"),
    ],
)
def test_what_has_no_effect_or_no_sense_is_refused(given: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(**given)
    assert refused.value.what == what
    assert refused.value.where == "streams.orders.read"
    assert refused.value.hint
