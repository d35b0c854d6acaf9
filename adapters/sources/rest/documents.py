"""JSON documents of an API: parsed without loss, searched by paths, and taken apart into records.

What type a value has in the warehouse is ``values``'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Final, assert_never

from adapters.sources.rest.answers import Unfinished
from pipeline.domain.errors import SourceError

Record = dict[str, object]


class Absent(Enum):
    """What a path that leads nowhere gives."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


class Shape(Enum):
    """What stands at the record path: a list of records, one record, or a mapping from names to values."""

    LIST = "list"
    OBJECT = "object"
    MAP = "map"


def parsed(body: bytes, *, is_exact: bool) -> object:
    """The document; raises ``Unfinished`` for a text that is no JSON, as one that was cut off.

    With ``is_exact`` fractions are ``Decimal``, with the digits that they were written with.
    """
    try:
        return json.loads(body, parse_float=Decimal if is_exact else None)
    except (ValueError, RecursionError):  # of a text, an encoding, or a number of thousands of digits
        raise Unfinished("answered with JSON that is broken or cut off", is_answer=True) from None


def at_path(document: object, path: str) -> object:
    """What stands at a path of member names with dots in between; ``ABSENT`` if there is nothing.

    A number names an item of a list; the empty path names the document itself.
    """
    for step in path.split(".") if path else ():
        if isinstance(document, Mapping):
            if step not in document:
                return ABSENT
            document = document[step]
        elif isinstance(document, list) and step.lstrip("-").isdigit():
            index = int(step)
            if not -len(document) <= index < len(document):
                return ABSENT
            document = document[index]
        else:
            return ABSENT
    return document


def records_at(document: object, path: str, shape: Shape) -> list[Record]:
    """The records of a page; raises ``SourceError`` if they are not where they should be."""
    found = at_path(document, path)
    place = f"at {path}" if path else "at the top"
    if found is ABSENT:
        raise SourceError(
            f"the answer has nothing {place}, where records should be",
            hint="Check the record path; if it was right, the API may have answered with an error.",
            case="no_records",
        )
    match shape:
        case Shape.LIST:
            rows = found
        case Shape.OBJECT:
            rows = [found]
        case Shape.MAP:
            pairs = found.items() if isinstance(found, dict) else ()
            rows = [{"name": name, "value": value} for name, value in pairs] if isinstance(found, dict) else found
        case _:
            assert_never(shape)
    if not isinstance(rows, list) or not set(map(type, rows)) <= {dict}:
        wanted = {Shape.LIST: "a list of objects", Shape.OBJECT: "an object", Shape.MAP: "an object"}[shape]
        raise SourceError(
            f"the answer has {_word(found)} {place}, not {wanted}",
            hint="Check record and shape of the stream.",
            case="no_records",
        )
    return rows


def refuse_error(document: object, path: str) -> None:
    """Raise ``SourceError`` if something is said at the path of errors."""
    found = at_path(document, path) if path else None
    if found is ABSENT or found is None or found is False or found in ("", 0, [], {}):
        return
    raise SourceError(
        f"the answer is marked as good, but tells of an error at {path}",
        hint="Ask the endpoint by hand to see which; it may be a limit, or a permission.",
        case="error_body",
    )


def flattened(record: Record) -> Record:
    """A record with the members of its objects beside its own, as ``object__member``; one level deep."""
    flat: Record = {}
    for name, value in record.items():
        members = {f"{name}__{inner}": item for inner, item in value.items()} if isinstance(value, dict) else None
        flat.update({name: value} if members is None else members)
    return flat


def json_text(value: object) -> str:
    """The JSON text of a value, each number as it was written; raises ``ValueError`` for NaN and the like."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except TypeError:
        return _written(value)


def _written(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(name)}:{_written(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


_quoted: Callable[[object], str] = json.JSONEncoder(ensure_ascii=False).encode


def _word(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list of other things"
    return "nothing" if value is None else "a single value"
