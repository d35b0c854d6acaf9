"""How the streams of an API are read, as the pipeline file says of each: endpoint, pages, columns, changes, deletes.

Reading by it is ``reading``'s and ``extractor``'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

import attrs

from adapters.sources.polling.declared import MAX_VANISHED, key_of, max_vanished_of
from adapters.sources.rest.documents import Shape
from adapters.sources.rest.options import RestOptions, mapping, texts
from adapters.sources.rest.paging import PageKind, Paging
from adapters.sources.rest.places import Since, since_of
from pipeline.domain.errors import ConfigError
from pipeline.domain.stream import StreamSpec

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\.([^{}]+)\}")

#: What kinds of paging have unless told otherwise, as APIs mostly call it.
_DEFAULTS: dict[PageKind, dict[str, object]] = {
    PageKind.NEXT_URL: {"path": "next"},
    PageKind.CURSOR: {"path": "next_cursor", "parameter": "cursor"},
    PageKind.TOKEN: {"path": "nextPageToken", "parameter": "pageToken"},
    PageKind.PAGE: {"parameter": "page", "first": 1},
    PageKind.OFFSET: {"parameter": "offset", "first": 0},
}


class Deletes(Enum):
    """How rows that are gone are seen: by comparing all keys, by a mark on the record, by replacing all, or not."""

    DIFF = "diff"
    FLAG = "flag"
    REPLACE = "replace"
    NONE = "none"


class Unlisted(Enum):
    """What becomes of members of records that have no column."""

    KEEP = "keep"
    IGNORE = "ignore"
    STOP = "stop"


@attrs.frozen
class Endpoint:
    """One address and its pages. ``path`` may have places such as ``{orders.id}`` for values of a parent's records;
    ``is_missing_empty`` takes an answer of 404 for an empty list.
    """

    path: str
    record: str = ""
    shape: Shape = Shape.LIST
    error: str = ""
    parameters: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    paging: Paging = attrs.field(factory=Paging)
    is_missing_empty: bool = False

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """The (parent, field) of each place in the path."""
        return tuple((parent, field) for parent, field in PLACEHOLDER.findall(self.path))


@attrs.frozen
class StreamOptions:
    """How one stream is read. ``parents`` are by name; ``carried`` says which field of a parent becomes which member
    of the child's records. ``sample`` is how many records inferred columns are guessed from. ``deleted`` is the member
    that marks a record as deleted, and its value then.
    """

    endpoint: Endpoint
    key: tuple[str, ...]
    parents: Mapping[str, Endpoint] = attrs.field(factory=dict)
    carried: Mapping[tuple[str, str], str] = attrs.field(factory=dict)
    columns: Mapping[str, str] = attrs.field(factory=dict)
    flatten: bool = False
    sample: int = 1000
    unlisted: Unlisted = Unlisted.KEEP
    since: Since | None = None
    deletes: Deletes = Deletes.DIFF
    deleted: tuple[str, object] | None = None
    max_vanished: float = MAX_VANISHED

    @property
    def pages_move(self) -> bool:
        """Whether rows may go from page to page while they are read."""
        return bool(self.parents) or self.endpoint.paging.kind is not PageKind.NONE


def stream_options(spec: StreamSpec, options: RestOptions) -> StreamOptions:
    """What the pipeline file says of a stream; raises ``ConfigError`` for what does not go together."""
    where = f"source {spec.source}, stream {spec.name}"
    read = spec.read
    endpoint = _endpoint(spec.relation, read, options, where)
    parents = {
        name: _endpoint(str(mapping(told).get("path", f"/{name}")), mapping(told), options, where)
        for name, told in mapping(read.get("parents", {})).items()
    }
    since = since_of(mapping(read["cursor"]), where) if "cursor" in read else None
    flag = mapping(read.get("deleted", {}))
    deleted = (str(flag["column"]), flag.get("value", True)) if flag else None
    deletes = _deletes(read.get("deletes"), has_cursor=since is not None, has_flag=deleted is not None, where=where)
    columns = texts(mapping(read.get("columns", {})))
    carried = _carried(endpoint, parents, mapping(read.get("carry", {})), where)
    return StreamOptions(
        endpoint=endpoint,
        key=_key(key_of(spec), [carried[place] for place in dict.fromkeys(endpoint.places)], deletes),
        parents=parents,
        carried=carried,
        columns=columns,
        flatten=bool(read.get("flatten", False)),
        sample=int(str(read.get("sample", 1000))),
        unlisted=Unlisted(str(read.get("unlisted", "ignore" if columns else "keep"))),
        since=since,
        deletes=deletes,
        deleted=deleted,
        max_vanished=max_vanished_of(spec),
    )


def direct_parent(endpoint: Endpoint, parents: Mapping[str, Endpoint], *, where: str = "") -> str | None:
    """The parent whose records an endpoint is read for: the one that has all others named in the path above it."""
    named = {parent for parent, _ in endpoint.places}
    for name in named:
        if named <= {name, *_ancestors(name, parents, where)}:
            return name
    if named:
        raise ConfigError(
            f"the path names {', '.join(sorted(named))}, none of which is below the others",
            where=where,
            hint="Give the path of each but the first a place for the one above it.",
        )
    return None


def _endpoint(path: str, told: Mapping[str, object], options: RestOptions, where: str) -> Endpoint:
    return Endpoint(
        path=path,
        record=str(told.get("record", "")),
        shape=Shape(str(told.get("shape", "list"))),
        error=str(told.get("error", options.error)),
        parameters={**options.parameters, **texts(mapping(told.get("parameters", {})))},
        paging=_paging(mapping(told.get("paginate", options.paginate)), where),
        is_missing_empty=told.get("missing") == "empty",
    )


def _paging(told: Mapping[str, object], where: str) -> Paging:
    kind = PageKind(str(told.get("kind", "none")))
    given = {**_DEFAULTS.get(kind, {}), **{key: value for key, value in told.items() if key != "kind"}}
    given["is_always_there"] = bool(given.pop("always_there", False))
    if given.get("size") and not given.get("size_parameter"):
        raise ConfigError("paginate.size has no size_parameter", where=where, hint="Name the parameter of the API.")
    return Paging(kind=kind, **given)  # type: ignore[arg-type]  # by the schema


def _deletes(told: object, *, has_cursor: bool, has_flag: bool, where: str) -> Deletes:
    default = Deletes.FLAG if has_flag else Deletes.NONE if has_cursor else Deletes.DIFF
    deletes = Deletes(str(told)) if told is not None else default
    if has_flag and deletes is not Deletes.FLAG:
        raise ConfigError(f"deleted does not go with deletes: {deletes.value}", where=where, hint="Leave out one.")
    if deletes is Deletes.FLAG and not (has_flag and has_cursor):
        raise ConfigError(
            "records that are marked as deleted need deleted and cursor", where=where, hint="Add what is missing."
        )
    if has_cursor and deletes is Deletes.REPLACE:
        raise ConfigError("deletes: replace does not go with a cursor", where=where, hint="Leave out one.")
    if not has_cursor and deletes is Deletes.NONE:
        raise ConfigError(
            "without a cursor all rows are read, and those that are gone are seen",
            where=where,
            hint="To keep them, set the stream's mode to soft_delete or history.",
        )
    return deletes


def _key(told: tuple[str, ...] | None, carried: list[str], deletes: Deletes) -> tuple[str, ...]:
    if told is not None:
        return told
    return () if deletes is Deletes.REPLACE else (*carried, "id")


def _carried(
    endpoint: Endpoint, parents: Mapping[str, Endpoint], told: Mapping[str, object], where: str
) -> dict[tuple[str, str], str]:
    direct = direct_parent(endpoint, parents, where=where)
    above = [direct, *_ancestors(direct, parents, where)] if direct else []
    places = [place for name in above[1:] for place in parents[name].places]
    places += [place for name in above[:1] for place in parents[name].places] + list(endpoint.places)
    carried = {(parent, field): f"{parent}_{field.replace('.', '_')}" for parent, field in places}
    for source, name in told.items():
        parent, _, field = source.partition(".")
        if parent not in above:
            raise ConfigError(
                f"carry names {parent}, which is no parent of the path", where=where, hint="Write PARENT.FIELD."
            )
        carried[parent, field] = str(name)
    return carried


def _ancestors(name: str, parents: Mapping[str, Endpoint], where: str) -> list[str]:
    """The parents above ``name``, the nearest first."""
    above: list[str] = []
    waiting = [name]
    while waiting:
        current = waiting.pop(0)
        if current not in parents:
            raise ConfigError(
                f"{current} is not described", where=where, hint=f"Add {current} to parents, with its path and record."
            )
        for parent, _ in parents[current].places:
            if parent == name:
                raise ConfigError(f"the parent {name} is above itself", where=where, hint="Correct its path.")
            if parent not in above:
                above.append(parent)
                waiting.append(parent)
    return above
