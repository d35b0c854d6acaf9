"""Which page follows a page, by the ways that APIs have of saying so; anything that may mean "incomplete" is an error.

Pure: pages are fetched by ``reading``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import assert_never

import attrs

from adapters.sources.rest.documents import ABSENT, Record, at_path
from pipeline.domain.errors import SourceError

#: More empty pages in a row, each with another one behind it, lead nowhere.
MAX_EMPTY_PAGES = 100

_LINK = re.compile(r"<([^>]*)>([^<]*)")
_NEXT = re.compile(r";\s*rel\s*=\s*\"?([^\";]*)\"?", re.IGNORECASE)


class PageKind(Enum):
    """How an API pages.

    ``LINK``: header ``Link`` with ``rel="next"`` (RFC 8288). ``NEXT_URL``: an address in the body. ``CURSOR`` and
    ``TOKEN``: a text in the body or a header, sent back as a parameter. ``PAGE`` and ``OFFSET``: counted by us.
    """

    NONE = "none"
    LINK = "link"
    NEXT_URL = "next_url"
    CURSOR = "cursor"
    TOKEN = "token"  # noqa: S105 - a word, no password
    PAGE = "page"
    OFFSET = "offset"


@attrs.frozen
class Paging:
    """How to page, and what the API says of the whole, by which an end that comes too early is noticed.

    ``path`` (or ``header``) is where the next address or cursor stands, ``parameter`` how it is sent back; with
    ``is_always_there`` it has to be in every answer, null or empty in the last. ``total`` and ``total_pages`` are
    paths of counts, ``total_header`` a header's name, ``has_more`` the path of a flag. ``size`` is asked for as
    ``size_parameter``; ``first`` is the number of the first page, or the first offset.
    """

    kind: PageKind = PageKind.NONE
    path: str = ""
    header: str = ""
    parameter: str = ""
    size: int | None = None
    size_parameter: str = ""
    first: int = 0
    total: str = ""
    total_header: str = ""
    total_pages: str = ""
    has_more: str = ""
    is_always_there: bool = False


@attrs.frozen
class Step:
    """The address of a page (empty: the endpoint's own) and the parameters that pages differ by."""

    url: str = attrs.field(default="", repr=False)
    parameters: Mapping[str, str] = attrs.field(factory=dict, repr=False)


@attrs.frozen(eq=False)
class Page:
    """A page as it came: ``number`` counts from 1."""

    number: int
    step: Step
    document: object
    headers: Mapping[str, str]
    records: list[Record]


class Pager:
    """Follows the pages of one reading; raises ``SourceError`` where they go in circles or end too early."""

    def __init__(self, paging: Paging) -> None:
        self._paging = paging
        self._seen: set[int] = set()
        self._record_count = 0
        self._total: int | None = None
        self._empty_count = 0
        self._before: list[Record] = []

    def first(self) -> Step:
        """The first page."""
        return self._noted(self._step({self._paging.parameter: str(self._paging.first)} if self._counts else {}))

    def after(self, page: Page) -> Step | None:
        """The page behind ``page``; None if it was the last."""
        self._record_count += len(page.records)
        self._check_progress(page)
        self._note_total(page)
        step = self._next(page)
        if step is None:
            self._check_end(page)
            return None
        self._empty_count = 0 if page.records else self._empty_count + 1
        if self._empty_count > MAX_EMPTY_PAGES:
            raise _odd(f"{self._empty_count} pages in a row were empty, and there are more", "endless")
        return self._noted(step)

    @property
    def _counts(self) -> bool:
        return self._paging.kind in {PageKind.PAGE, PageKind.OFFSET}

    def _step(self, parameters: Mapping[str, str]) -> Step:
        paging = self._paging
        sizes = {paging.size_parameter: str(paging.size)} if paging.size and paging.size_parameter else {}
        return Step(parameters={**sizes, **parameters})

    def _noted(self, step: Step) -> Step:
        mark = hash((step.url, *sorted(step.parameters.items())))
        if mark in self._seen:
            raise _odd("the API named a next page that was read already", "repeated_page")
        self._seen.add(mark)
        return step

    def _check_progress(self, page: Page) -> None:
        if page.records and page.number > 1 and page.records == self._before:
            raise _odd(
                f"page {page.number} has the same records as the page before it",
                "repeated_page",
                hint=f"Check that the API knows the parameter {self._paging.parameter}." if self._counts else "",
            )
        self._before = page.records

    def _note_total(self, page: Page) -> None:
        before, self._total = self._total, _total(self._paging, page)
        if self._counts and before is not None and self._total is not None and self._total < before:
            raise SourceError(
                f"the API counted {before:,} rows at first and {self._total:,} later: while it was read page by page, "
                "rows went away and others moved up, past where we were",
                hint="The next run reads it again. If it happens often, page by a cursor.",
                case="shifted",
            )

    def _next(self, page: Page) -> Step | None:
        paging = self._paging
        more = _has_more(paging, page)
        if more is False:
            return None
        match paging.kind:
            case PageKind.NONE:
                return None
            case PageKind.PAGE | PageKind.OFFSET:
                step = self._counted(page, is_told=more is True)
            case PageKind.LINK:
                link = _next_link(page.headers.get("link", ""))
                step = Step(url=link) if link else None
            case PageKind.NEXT_URL | PageKind.CURSOR | PageKind.TOKEN:
                step = self._named(page)
            case _:
                assert_never(paging.kind)
        if step is None and more:
            raise _odd(f"the API says at {paging.has_more} that there is more, but not where", "incomplete")
        return step

    def _counted(self, page: Page, *, is_told: bool) -> Step | None:
        paging = self._paging
        pages = _count(paging.total_pages, at_path(page.document, paging.total_pages)) if paging.total_pages else None
        if pages is not None and page.number >= pages:
            return None
        if pages is None and self._total is not None and self._record_count >= self._total:
            return None
        if not page.records and not is_told:
            if pages is not None:
                raise _odd(f"page {page.number} of {pages:,} is empty", "incomplete")
            return None
        # A page that is shorter than asked for is not the last for that: servers have limits of their own.
        place = page.number if paging.kind is PageKind.PAGE else self._record_count
        if not page.records and paging.kind is PageKind.OFFSET:
            raise _odd("the API says that there is more, but gave nothing", "incomplete")
        return self._step({paging.parameter: str(paging.first + place)})

    def _named(self, page: Page) -> Step | None:
        paging = self._paging
        if paging.header:
            found: object = page.headers.get(paging.header.lower(), ABSENT)
        else:
            found = at_path(page.document, paging.path)
        if found is ABSENT and paging.is_always_there:
            raise _odd(f"the answer does not have {paging.header or paging.path}", "incomplete")
        if found is ABSENT or found is None or found is False or found == "":
            return None
        if isinstance(found, bool) or not isinstance(found, str | int):
            raise _odd(f"{paging.header or paging.path} is neither a text nor a number", "incomplete")
        if paging.kind is PageKind.NEXT_URL:
            return Step(url=str(found))
        return self._step({paging.parameter: str(found)})

    def _check_end(self, page: Page) -> None:
        if self._total is not None and self._record_count < self._total:
            raise SourceError(
                f"the pages ended after {self._record_count:,} records, but the API counts {self._total:,}",
                hint="Check paginate; if it is right, the next run reads the endpoint again.",
                case="incomplete",
            )
        pages = self._paging.total_pages
        if pages:
            count = _count(pages, at_path(page.document, pages))
            if page.number < count:
                raise _odd(f"the pages ended after {page.number:,} of {count:,}", "incomplete")


def _has_more(paging: Paging, page: Page) -> bool | None:
    if not paging.has_more:
        return None
    found = at_path(page.document, paging.has_more)
    if not isinstance(found, bool):
        raise _odd(f"the answer does not say true or false at {paging.has_more}", "incomplete")
    return found


def _total(paging: Paging, page: Page) -> int | None:
    if paging.total_header:
        return _count(paging.total_header, page.headers.get(paging.total_header.lower(), ABSENT))
    return _count(paging.total, at_path(page.document, paging.total)) if paging.total else None


def _count(name: str, found: object) -> int:
    if isinstance(found, bool) or not isinstance(found, int | str) or not str(found).isdigit():
        raise _odd(f"the answer has no count at {name}", "incomplete")
    return int(found)


def _next_link(header: str) -> str:
    for url, parameters in _LINK.findall(header):
        if any("next" in relation.lower().split() for relation in _NEXT.findall(parameters)):
            return str(url)
    return ""


def _odd(what: str, case: str, *, hint: str = "") -> SourceError:
    return SourceError(what, hint=hint or "Check paginate of the stream: nothing was taken for gone.", case=case)
