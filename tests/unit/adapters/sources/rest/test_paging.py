"""Which page follows a page, and what is an error instead of an end."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.sources.rest.paging import MAX_EMPTY_PAGES, Page, PageKind, Pager, Paging, Step
from pipeline.domain.errors import SourceError


def follow(paging: Paging, *pages: tuple[Any, dict[str, str]], records: str = "data") -> list[Step]:
    """The steps that lead through these answers (document, headers), the first one included."""
    pager = Pager(paging)
    step: Step | None = pager.first()
    steps = []
    for number, (document, headers) in enumerate(pages, start=1):
        assert step is not None, "there is no such page"
        steps.append(step)
        step = pager.after(Page(number, step, document, headers, document[records] if records else document))
    if step is not None:
        steps.append(step)
    return steps


def rows(*numbers: int) -> list[dict[str, object]]:
    return [{"id": number} for number in numbers]


def body(*numbers: int, **others: Any) -> tuple[dict[str, Any], dict[str, str]]:
    return {"data": rows(*numbers), **others}, {}


def case_of(paging: Paging, *pages: tuple[Any, dict[str, str]]) -> object:
    with pytest.raises(SourceError) as raised:
        follow(paging, *pages)
    return raised.value.facts["case"]


def test_an_endpoint_without_pages_has_one() -> None:
    assert follow(Paging(), body(1)) == [Step()]


def test_pages_are_counted_until_one_is_empty_since_a_short_one_may_be_the_servers_own_limit() -> None:
    paging = Paging(PageKind.PAGE, parameter="page", first=1, size=100, size_parameter="per_page")
    asked = [{"per_page": "100", "page": str(number)} for number in (1, 2, 3)]
    assert follow(paging, body(1, 2), body(3), body()) == [Step(parameters=each) for each in asked]


def test_a_count_of_pages_or_rows_saves_asking_for_the_empty_one() -> None:
    page = Paging(PageKind.PAGE, parameter="p", first=0, total_pages="pages")
    assert follow(page, body(1, pages=2), body(2, pages=2)) == [
        Step(parameters={"p": "0"}),
        Step(parameters={"p": "1"}),
    ]
    counted = Paging(PageKind.OFFSET, parameter="o", total="total")
    assert follow(counted, body(1, 2, total=3), body(3, total=3)) == [
        Step(parameters={"o": "0"}),
        Step(parameters={"o": "2"}),
    ]


def test_an_offset_moves_by_what_came_not_by_what_was_asked_for() -> None:
    paging = Paging(PageKind.OFFSET, parameter="offset", size=100, size_parameter="limit")
    steps = follow(paging, body(1, 2, 3), body(4), body())
    assert [step.parameters["offset"] for step in steps] == ["0", "3", "4"]


def test_a_cursor_is_sent_back_until_it_is_null_empty_or_missing() -> None:
    paging = Paging(PageKind.CURSOR, path="meta.next", parameter="after")
    for end in ({"next": None}, {"next": ""}, {}):
        assert follow(paging, body(1, meta={"next": "x"}), body(2, meta=end)) == [
            Step(),
            Step(parameters={"after": "x"}),
        ]


def test_a_token_may_stand_in_a_header() -> None:
    paging = Paging(PageKind.TOKEN, header="X-Next", parameter="token")
    pages = [({"data": rows(1)}, {"x-next": "t1"}), ({"data": rows(2)}, {})]
    assert follow(paging, *pages) == [Step(), Step(parameters={"token": "t1"})]


@pytest.mark.parametrize(
    "link",
    [
        '</p?a=1,2>; rel="prev", </p?page=2>; rel="next"',
        "</p?page=2>; rel=next",
        '</p?page=2>; title="x"; rel="last next"',
        "</p?page=2>;REL=Next",
    ],
)
def test_the_next_link_is_found_among_others(link: str) -> None:
    steps = follow(Paging(PageKind.LINK), (rows(1), {"link": link}), (rows(2), {}), records="")
    assert steps == [Step(), Step(url="/p?page=2")]


def test_a_next_address_in_the_body_is_followed() -> None:
    paging = Paging(PageKind.NEXT_URL, path="links.next")
    assert follow(paging, body(1, links={"next": "/x?c=9"}), body(2, links={})) == [Step(), Step(url="/x?c=9")]


def test_a_flag_that_says_there_is_no_more_ends_it_whatever_cursor_there_is() -> None:
    paging = Paging(PageKind.CURSOR, path="last", parameter="after", has_more="more")
    assert follow(paging, body(1, last="1", more=True), body(2, last="2", more=False)) == [
        Step(),
        Step(parameters={"after": "1"}),
    ]


CURSOR = Paging(PageKind.CURSOR, path="next", parameter="c")
FLAGGED = Paging(PageKind.CURSOR, path="next", parameter="c", has_more="more")
STRICT = Paging(PageKind.CURSOR, path="next", parameter="c", is_always_there=True)
TOTAL = Paging(PageKind.CURSOR, path="next", parameter="c", total="total")
NUMBERED = Paging(PageKind.PAGE, parameter="page", first=1)
COUNTED = Paging(PageKind.OFFSET, parameter="o", total="total")
PAGES = Paging(PageKind.PAGE, parameter="page", first=1, total_pages="pages")


@pytest.mark.parametrize(
    ("paging", "pages", "case"),
    [
        (CURSOR, [body(1, next="a"), body(2, next="b"), body(3, next="a")], "repeated_page"),
        (CURSOR, [body(1, next="a"), body(1, next="b")], "repeated_page"),
        (CURSOR, [body(1, next={"id": 7})], "incomplete"),
        (FLAGGED, [body(1, more=True)], "incomplete"),
        (FLAGGED, [body(1, next="a")], "incomplete"),
        (STRICT, [body(1)], "incomplete"),
        (TOTAL, [body(1, next=None, total=2)], "incomplete"),
        (TOTAL, [body(1, next=None)], "incomplete"),
        (TOTAL, [body(1, next=None, total="many")], "incomplete"),
        (NUMBERED, [body(1), body(1)], "repeated_page"),
        (COUNTED, [body(1, 2, total=5), body(total=5)], "incomplete"),
        (COUNTED, [body(1, 2, total=5), body(3, total=4)], "shifted"),
        (PAGES, [body(1, pages=3), body(pages=3)], "incomplete"),
    ],
)
def test_what_may_mean_incomplete_is_an_error(
    paging: Paging, pages: list[tuple[Any, dict[str, str]]], case: str
) -> None:
    assert case_of(paging, *pages) == case


def test_empty_pages_with_others_behind_them_are_passed_but_not_for_ever() -> None:
    few = [body(next=f"c{number}") for number in range(MAX_EMPTY_PAGES)]
    assert len(follow(CURSOR, *few, body(1))) == MAX_EMPTY_PAGES + 1
    assert case_of(CURSOR, *few, body(next="last")) == "endless"
