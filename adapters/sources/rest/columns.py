"""The columns of a stream: declared by type words, or guessed from records.

Values are brought to them by ``values``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import pyarrow as pa

from adapters.sources import typewords
from adapters.sources.rest.documents import Record
from adapters.sources.typewords import JSON, KNOWN_WORDS
from pipeline.domain.errors import ConfigError
from pipeline.domain.naming import column_names
from pipeline.domain.schema import Column, StreamSchema

#: The column that takes what has no column of its own, as a JSON object.
UNLISTED = "unlisted"
INSTANT = pa.timestamp("us", "UTC")

#: Instants as APIs have them besides: seconds and milliseconds since 1970.
_EPOCH_WORDS: dict[str, pa.DataType] = {"unix": INSTANT, "unix_ms": INSTANT}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ZONED = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)")
_UNZONED = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?")
_INT64 = range(-(2**63), 2**63)


def type_of(word: str) -> pa.DataType:
    """The Arrow type of a type word; raises ``ValueError``."""
    return _EPOCH_WORDS.get(word) or typewords.type_of(word)


def check_words(columns: Mapping[str, str], where: str) -> None:
    """Raise ``ConfigError`` for a column whose type is none."""
    for name, word in columns.items():
        try:
            type_of(word)
        except ValueError:
            raise ConfigError(
                f"the column {name} has the type {word}, which is none",
                where=where,
                hint=f"Known types: {KNOWN_WORDS}, {', '.join(_EPOCH_WORDS)}.",
            ) from None


def schema_of(words: Mapping[str, str], key: Iterable[str], *, exclude: Iterable[str] = ()) -> StreamSchema:
    """A schema of columns (name in the records -> type word) without those to ``exclude``."""
    left_out = set(exclude)
    kept = [name for name in words if name not in left_out]
    names = column_names(kept)
    columns = [
        Column(names[name], type_of(words[name]), source_name=name, source_type=words[name], json=words[name] == JSON)
        for name in kept
    ]
    return StreamSchema(tuple(columns), key=tuple(names[name] for name in key))


def guessed(records: Sequence[Record], known: Mapping[str, str]) -> dict[str, str]:
    """The type word of each member that has a value in some record, those ``known`` first and as they are."""
    words = dict(known)
    names = {name: None for record in records for name in record}
    for name in names:
        if name not in words:
            word = _guess([value for record in records if (value := record.get(name)) is not None])
            if word:
                words[name] = word
    return words


def remembered(words: Mapping[str, str]) -> str:
    """Guessed columns as the text of a bookmark."""
    return json.dumps(dict(words), ensure_ascii=False, separators=(",", ":"))


def recalled(text: str | None) -> dict[str, str]:
    """The inverse of ``remembered``; empty for a text that it did not write."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return {str(name): str(word) for name, word in found.items()} if isinstance(found, dict) else {}


def _guess(values: list[object]) -> str:
    kinds = set(map(type, values))
    if not kinds:
        return ""
    if kinds <= {dict, list}:
        return JSON
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int64" if all(value in _INT64 for value in values) else "string"
    if kinds <= {int, float, Decimal}:
        return "double"
    if kinds == {str}:
        return _guess_of_texts([str(value) for value in values])
    return JSON if kinds & {dict, list} else "string"


def _guess_of_texts(texts: list[str]) -> str:
    for word, pattern in (("date32", _DATE), ("timestamp[us, UTC]", _ZONED), ("timestamp[us]", _UNZONED)):
        if all(map(pattern.fullmatch, texts)):
            try:
                pa.array(texts).cast(type_of(word))
            except pa.ArrowInvalid:
                return "string"
            return word
    return "string"
