"""Reads an endpoint page by page, for each record of the endpoint above it where its path says so.

What the records become is ``extractor``'s; requests are sent by ``client``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

import attrs

from adapters.sources.rest.answers import Answer
from adapters.sources.rest.client import Client, Request
from adapters.sources.rest.documents import ABSENT, Record, at_path, flattened, records_at, refuse_error
from adapters.sources.rest.endpoints import PLACEHOLDER, Endpoint, StreamOptions, direct_parent
from adapters.sources.rest.hosts import checked_next
from adapters.sources.rest.paging import Page, Pager, Step
from pipeline.domain.errors import PipelineError, SourceError, SourceRejected

_NOT_FOUND = 404

#: Values of parents' fields by (parent, field).
Context = Mapping[tuple[str, str], object]


@attrs.frozen(eq=False)
class Records:
    """The records of one page, with the fields of their parents. ``is_only`` says that it was the first and last page
    of an endpoint without parents; ``validators`` are the headers by which it can be asked for again.
    """

    records: list[Record]
    byte_count: int
    is_only: bool = False
    is_unchanged: bool = False
    validators: Mapping[str, str] = attrs.field(factory=dict)


class Reading:
    """One pass over a stream's pages. ``parameters`` go with each request of the stream's own endpoint; ``conditions``
    are headers that let the API say that a single page did not change.
    """

    def __init__(
        self,
        client: Client,
        stream: StreamOptions,
        *,
        url: str,
        where: str,
        parameters: Mapping[str, str] | None = None,
        conditions: Mapping[str, str] | None = None,
        is_exact: bool = True,
    ) -> None:
        self._client = client
        self._stream = stream
        self._url = url
        self._where = where
        self._parameters = parameters or {}
        self._conditions = conditions or {}
        self.is_exact = is_exact

    def pages(self) -> Iterator[Records]:
        """The pages, each read when it is asked for."""
        endpoint = self._stream.endpoint
        if not endpoint.places:
            yield from self._pages(endpoint, {}, is_own=True)
            return
        for context in self._contexts(endpoint):
            carried = {self._stream.carried[place]: value for place, value in context.items()}
            for page in self._pages(endpoint, context, is_own=True):
                yield attrs.evolve(page, records=[self._joined(record, carried) for record in page.records])

    def _contexts(self, endpoint: Endpoint) -> Iterator[Context]:
        """What each record of the endpoints above gives to this one."""
        parent = direct_parent(endpoint, self._stream.parents)
        if parent is None:
            yield {}
            return
        above = self._stream.parents[parent]
        fields = [field for name, field in self._stream.carried if name == parent]
        for context in self._contexts(above):
            seen: set[int] = set()
            for page in self._pages(above, context, is_own=False):
                for record in page.records:
                    found = {(parent, field): self._field(record, parent, field) for field in fields}
                    mark = hash(tuple(map(repr, found.values())))
                    if mark in seen:
                        raise self._odd(
                            f"a record of {parent} came twice while it was read page by page",
                            hint="It changed meanwhile: the next run reads it again.",
                        )
                    seen.add(mark)
                    yield {**context, **found}

    def _field(self, record: Record, parent: str, field: str) -> object:
        found = at_path(record, field)
        if found is ABSENT or found is None:
            raise self._odd(f"a record of {parent} has no {field}", hint="Correct relation, parents or carry.")
        return found

    def _joined(self, record: Record, carried: Mapping[str, object]) -> Record:
        for name, value in carried.items():
            if record.setdefault(name, value) != value:
                raise self._odd(
                    f"records have a {name} of their own, which is not their parent's",
                    hint="Give the parent's field another name by carry.",
                )
        return record

    def _pages(self, endpoint: Endpoint, context: Context, *, is_own: bool) -> Iterator[Records]:
        pager = Pager(endpoint.paging)
        step: Step | None = pager.first()
        url = self._address(endpoint, context)
        parameters = {**endpoint.parameters, **(self._parameters if is_own else {})}
        number = 0
        while step is not None:
            number += 1
            label = f"page {number} of {self._url}{endpoint.path if endpoint.path.startswith('/') else ''}"
            try:
                asked = self._request(endpoint, url, parameters, step, label=label, is_first=is_own and number == 1)
                answer = self._client.get(asked)
                if answer.is_unchanged:
                    yield Records([], 0, is_only=True, is_unchanged=True)
                    return
                refuse_error(answer.document, endpoint.error)
                records = records_at(answer.document, endpoint.record, endpoint.shape)
                page = Page(number, step, answer.document, answer.headers, records)
                step = pager.after(page)
                if step is not None and step.url:
                    place = checked_next(answer.url, step.url, base=self._url, what="names a next page and leads")
                    step = attrs.evolve(step, url=place)
            except SourceRejected as error:
                if endpoint.is_missing_empty and number == 1 and error.facts.get("status") == _NOT_FOUND:
                    return
                raise self._located(error, label) from None
            except PipelineError as error:
                raise self._located(error, label) from None
            is_only = is_own and number == 1 and step is None and not endpoint.places
            if self._stream.flatten and is_own:
                records = [flattened(record) for record in records]
            yield Records(records, answer.byte_count, is_only=is_only, validators=_validators(answer))

    def _request(
        self,
        endpoint: Endpoint,
        url: str,
        parameters: Mapping[str, str],
        step: Step,
        *,
        label: str,
        is_first: bool,
    ) -> Request:
        return Request(
            url=step.url or url,
            label=label,
            where=self._where,
            is_exact=self.is_exact,
            # A next address is whole: what was asked for first is in it.
            parameters=step.parameters if step.url else {**parameters, **step.parameters},
            headers=self._conditions if is_first and not endpoint.places else {},
        )

    def _address(self, endpoint: Endpoint, context: Context) -> str:
        path = PLACEHOLDER.sub(lambda place: _spelt(context[place[1], place[2]]), endpoint.path)
        if "://" in path:
            return checked_next(self._url, path, base=self._url, what=f"{self._where}: relation leads")
        return f"{self._url}/{path.lstrip('/')}"

    def _located(self, error: PipelineError, label: str) -> PipelineError:
        if not error.where:
            error.where, error.what = self._where, f"{label}: {error.what}"
        return error

    def _odd(self, what: str, *, hint: str) -> SourceError:
        return SourceError(what, where=self._where, hint=hint)


def _validators(answer: Answer) -> dict[str, str]:
    """The request headers that ask for the same only if it changed (RFC 9110, section 13.1)."""
    found = {"If-None-Match": answer.headers.get("etag"), "If-Modified-Since": answer.headers.get("last-modified")}
    given = {name: value for name, value in found.items() if value}
    # To the second only, so that two changes in one would be one: the better validator alone, where there is one.
    return {"If-None-Match": given["If-None-Match"]} if "If-None-Match" in given else given


def _spelt(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise SourceError("a parent's field is no text or whole number, so that it cannot be part of an address")
    return quote(str(value), safe="")
