"""What an OpenAPI document (3.x, or Swagger 2) lists as GET endpoints that answer with lists.

Only what is written there is told; nothing is asked of the endpoints themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from adapters.sources.rest.client import Client, Request
from adapters.sources.rest.columns import UNLISTED, schema_of
from adapters.sources.rest.documents import ABSENT, at_path
from adapters.sources.rest.hosts import checked_next
from adapters.sources.rest.options import RestOptions, mapping
from adapters.sources.typewords import JSON
from pipeline.domain.errors import ConfigError, PipelineError, SourceError
from pipeline.ports.source import Relation

_DEFAULT = "/openapi.json"
#: Members that lists mostly stand at, the likeliest first.
_LISTS = ("data", "items", "results", "records", "value", "entries")
#: Members of answers that are sent back as parameters.
_CURSORS = (("next_cursor", "cursor"), ("nextPageToken", "pageToken"), ("next_page_token", "page_token"))
_MAX_DEPTH = 20


def relations(client: Client, options: RestOptions, *, where: str) -> tuple[Relation, ...]:
    """The endpoints that answer with lists; empty where there is no document and none was named.

    Raises as ``Client.get`` where one was named and cannot be read.
    """
    try:
        document = _document(client, options, where)
    except ConfigError:
        raise
    except PipelineError as error:
        if options.openapi or error.retries:
            raise
        return ()
    if not isinstance(document, Mapping) or not isinstance(document.get("paths"), Mapping):
        if options.openapi:
            raise SourceError("the OpenAPI document has no paths", where=where, hint="Check openapi.")
        return ()
    return tuple(_relations(document))


def _document(client: Client, options: RestOptions, where: str) -> object:
    place = options.openapi or _DEFAULT
    path = Path(place)
    if options.openapi and "://" not in place and (not place.startswith("/") or path.is_file()):
        try:
            return yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
        except (OSError, ValueError, yaml.YAMLError):
            raise ConfigError("openapi is a file that cannot be read", where=where, hint="Check the path.") from None
    if "://" in place:
        url = checked_next(options.url, place, base=options.url, what="openapi leads")
    else:
        url = f"{options.url}/{place.lstrip('/')}"
    return client.get(Request(url=url, label="the OpenAPI document", where=where)).document


def _relations(document: Mapping[str, object]) -> Iterator[Relation]:
    for path, methods in mapping(document["paths"]).items():
        operation = mapping(mapping(methods).get("get"))
        if not operation:
            continue
        found = _list_of(document, _answer_schema(document, operation))
        if found is None:
            continue
        record, item = found
        columns = _columns(document, item)
        key = [name for name in ("id",) if name in columns]
        read: dict[str, object] = {"record": record} if record else {}
        read |= _paginate(document, operation, mapping(methods)) | ({"columns": columns} if columns else {})
        reason = None
        if "{" in path:
            reason = f"{path} is below another endpoint: write it by hand, with parents"
        elif not key:
            reason = f"{path} tells of no member id: write it by hand, with its key"
        yield Relation(path, "endpoint", schema_of(columns, key), reason=reason, read=read)


def _paginate(
    document: Mapping[str, object], operation: Mapping[str, object], item: Mapping[str, object]
) -> dict[str, object]:
    """How the list is paged, where parameters and answer have names that say so."""
    listed = [*_listed(item.get("parameters")), *_listed(operation.get("parameters"))]
    told = [_resolved(document, mapping(parameter)) for parameter in listed]
    parameters = {str(parameter.get("name")) for parameter in told if parameter.get("in") == "query"}
    members = _members(document, _answer_schema(document, operation))
    for member, parameter in _CURSORS:
        if member in members and parameter in parameters:
            return {"paginate": {"kind": "cursor", "path": member, "parameter": parameter}}
    if "next" in members and members["next"].get("format") in {"uri", "url"}:
        return {"paginate": {"kind": "next_url", "path": "next"}}
    for kind in ("page", "offset"):
        if kind in parameters:
            return {"paginate": {"kind": kind, "parameter": kind}}
    return {}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _answer_schema(document: Mapping[str, object], operation: Mapping[str, object]) -> Mapping[str, object]:
    answers = mapping(operation.get("responses"))
    answer = _resolved(document, mapping(answers.get("200", answers.get("default"))))
    for media, content in mapping(answer.get("content")).items():
        if media.partition(";")[0].strip().endswith("json"):
            return _resolved(document, mapping(mapping(content).get("schema")))
    return _resolved(document, mapping(answer.get("schema")))


def _list_of(document: Mapping[str, object], schema: Mapping[str, object]) -> tuple[str, Mapping[str, object]] | None:
    """The path of the list of objects in an answer, and the schema of its items."""
    item = _item(document, schema)
    if item is not None:
        return "", item
    members = _members(document, schema)
    if "id" in members:
        return None  # a thing with lists in it, and no page of them
    lists = {name: found for name, member in members.items() if (found := _item(document, member)) is not None}
    likely = [name for name in _LISTS if name in lists]
    name = likely[0] if likely else next(iter(lists)) if len(lists) == 1 else None
    return (name, lists[name]) if name is not None else None


def _item(document: Mapping[str, object], schema: Mapping[str, object]) -> Mapping[str, object] | None:
    if schema.get("type") != "array":
        return None
    item = _resolved(document, mapping(schema.get("items")))
    return item if item.get("type") == "object" or _members(document, item) else None


def _columns(document: Mapping[str, object], item: Mapping[str, object]) -> dict[str, str]:
    members = _members(document, item)
    return {name: _word(member) for name, member in members.items() if name != UNLISTED}


def _members(
    document: Mapping[str, object], schema: Mapping[str, object], *, depth: int = 0
) -> dict[str, Mapping[str, object]]:
    """The members of an object, those of ``allOf`` included."""
    found: dict[str, Mapping[str, object]] = {}
    parts = schema.get("allOf")
    if isinstance(parts, list) and depth < _MAX_DEPTH:
        for part in parts:
            found.update(_members(document, _resolved(document, mapping(part)), depth=depth + 1))
    for name, member in mapping(schema.get("properties")).items():
        found[str(name)] = _resolved(document, mapping(member))
    return found


def _resolved(document: Mapping[str, object], schema: Mapping[str, object]) -> Mapping[str, object]:
    """The schema that references lead to, within the document."""
    for _ in range(_MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        target = at_path(document, reference.removeprefix("#/").replace("/", "."))
        schema = {} if target is ABSENT else mapping(target)
    return {}


def _word(schema: Mapping[str, object]) -> str:
    kind, form = schema.get("type"), schema.get("format")
    if isinstance(kind, list):
        kind = next((word for word in kind if word != "null"), None)
    if kind == "string":
        return {"date": "date32", "date-time": "timestamp[us, UTC]"}.get(str(form), "string")
    return {"integer": "int64", "number": "double", "boolean": "bool"}.get(str(kind), JSON)
