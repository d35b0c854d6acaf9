"""PostgreSQL's array literals as JSON texts, whole columns at a time.

The literals' form is PostgreSQL's array_out (documentation, section 8.15.6); everything but arrays is ``values``'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import attrs
import pyarrow as pa
import pyarrow.compute as pc

_NUMBERS = frozenset(
    {
        *("smallint", "integer", "bigint", "real", "double precision", "numeric", "oid"),
        *("int2", "int4", "int8", "float4", "float8"),
    }
)
_BOOLEANS = frozenset({"boolean", "bool"})
_JSON = frozenset({"json", "jsonb"})

_TYPMOD = re.compile(r"\([^()]*\)")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")

#: Literals of numbers that only need their braces exchanged: no NULL, NaN or Infinity, no bounds.
_PLAIN_NUMBERS = r"^\{[-+0-9.eE,{}]*\}$"
#: One-dimensional literals without quoting, nesting or NULL, and no character that JSON escapes.
_PLAIN_TEXTS = r'^\{[^{}"\\\x00-\x1f]*\}$'
_HAS_NULL = r"(?i)[{,]null[,}]"

_UNREADABLE = "array literal that cannot be read"


@attrs.frozen
class _Elements:
    """How the elements of an array are written: as they are (numbers, JSON), as booleans, or as strings."""

    render: Callable[[str], str]
    is_number: bool = False
    is_text: bool = False
    delimiter: str = ","


def is_array(source_type: str) -> bool:
    """Whether a column's ``source_type`` is an array or a domain over one."""
    return source_type.endswith(("[]", "[])"))


def arrays_to_json(texts: pa.Array, source_type: str) -> tuple[pa.Array, pa.Array, str]:
    """JSON texts of array literals; and the rows (int64) that could not be read, null in the result, with the reason.

    Numbers become JSON numbers with all their digits (NaN and infinities strings), booleans true and false, elements
    of json and jsonb are nested, all others are strings; NULL is null, more dimensions nest, lower bounds are left out.
    """
    elements = _elements(source_type)
    if elements.is_number:
        plain = pc.match_substring_regex(texts, _PLAIN_NUMBERS)
        quick = pc.replace_substring(pc.replace_substring(texts, "{", "["), "}", "]")
    elif elements.is_text:
        plain = pc.match_substring_regex(texts, _PLAIN_TEXTS)
        plain = pc.and_(plain, pc.invert(pc.match_substring_regex(texts, _HAS_NULL)))
        inner = pc.utf8_slice_codeunits(texts, 1, -1)
        quoted = pc.binary_join_element_wise('["', pc.replace_substring(inner, ",", '","'), '"]', "")
        quick = pc.if_else(pc.equal(texts, "{}"), "[]", quoted)
    else:
        plain = pc.if_else(pc.is_valid(texts), False, None)
        quick = texts
    if pc.all(plain, min_count=0).as_py():
        return quick, pa.array([], pa.int64()), _UNREADABLE
    return _by_distinct(texts, plain=plain, quick=quick, elements=elements)


def _by_distinct(
    texts: pa.Array, *, plain: pa.Array, quick: pa.Array, elements: _Elements
) -> tuple[pa.Array, pa.Array, str]:
    odd = pc.if_else(plain, None, texts).dictionary_encode()
    converted = pa.array([_convert(text, elements) for text in odd.dictionary.to_pylist()], pa.string())
    slow = converted.take(odd.indices)
    result = pc.if_else(plain, quick, slow)
    lost = pc.and_(pc.is_valid(texts), pc.is_null(result))
    return result, pc.indices_nonzero(lost).cast(pa.int64()), _UNREADABLE


def _elements(source_type: str) -> _Elements:
    inner = source_type[source_type.rindex(" (") + 2 : -1] if source_type.endswith("[])") else source_type
    name = _TYPMOD.sub("", inner.removesuffix("[]")).strip()
    if name in _NUMBERS:
        return _Elements(_number, is_number=True)
    if name in _BOOLEANS:
        return _Elements(_boolean)
    if name in _JSON:
        return _Elements(str)
    return _Elements(_string, is_text=name != "box", delimiter=";" if name == "box" else ",")


def _convert(literal: str, elements: _Elements) -> str | None:
    try:
        return _parse(literal, elements)
    except (ValueError, IndexError):
        return None


def _parse(literal: str, elements: _Elements) -> str:
    """One literal, token by token; raises ``ValueError`` or ``IndexError`` where it is not one."""
    at = literal.index("=") + 1 if literal.startswith("[") else 0
    written: list[str] = []
    depth = 0
    while True:
        char = literal[at]
        if char == "{":
            depth += 1
            written.append("[")
            at += 1
        elif char == "}":
            depth -= 1
            written.append("]")
            at += 1
            if depth == 0:
                break
        elif char == elements.delimiter:
            written.append(",")
            at += 1
        elif char == '"':
            text, at = _quoted(literal, at + 1)
            written.append(elements.render(text))
        else:
            text, at = _bare(literal, at, elements.delimiter)
            written.append("null" if text.upper() == "NULL" else elements.render(text))
    if at != len(literal):
        raise ValueError("text after the array")
    return "".join(written)


def _quoted(literal: str, at: int) -> tuple[str, int]:
    text: list[str] = []
    while True:
        stop = at
        while literal[stop] not in '"\\':
            stop += 1
        text.append(literal[at:stop])
        if literal[stop] == '"':
            return "".join(text), stop + 1
        text.append(literal[stop + 1])
        at = stop + 2


def _bare(literal: str, at: int, delimiter: str) -> tuple[str, int]:
    stop = at
    while literal[stop] not in ("}", delimiter):
        stop += 1
    return literal[at:stop], stop


def _number(text: str) -> str:
    return text if _JSON_NUMBER.fullmatch(text) else _string(text)


def _boolean(text: str) -> str:
    return {"t": "true", "f": "false"}[text]


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
