"""The words that pipeline files have for types of columns, the same for every source whose columns can be declared.

A source may know more words of its own, and says itself how values become its types.
"""

from __future__ import annotations

import re

import pyarrow as pa

JSON = "json"

#: The words that messages tell; ``json`` is text that holds a JSON document.
WORDS: dict[str, pa.DataType] = {
    "text": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "binary": pa.binary(),
    JSON: pa.string(),
}

#: Arrow's own names, which mean what they mean there.
_ARROW_NAMES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "double": pa.float64(),
    "date32": pa.date32(),
    "time64[us]": pa.time64("us"),
    "timestamp[us]": pa.timestamp("us"),
    "timestamp[us,utc]": pa.timestamp("us", "UTC"),
    "timestamp[us,tz=utc]": pa.timestamp("us", "UTC"),
}
_DECIMAL = re.compile(r"decimal(?:128)?\((\d{1,2})(?:,(\d{1,2}))?\)")
_MAX_PRECISION = 38

#: For messages.
KNOWN_WORDS = f"{', '.join(WORDS)} or decimal(precision, scale)"


def type_of(word: str) -> pa.DataType:
    """The Arrow type of a word; raises ``ValueError`` for one that means nothing."""
    plain = word.replace(" ", "").lower()
    found = WORDS.get(plain) or _ARROW_NAMES.get(plain)
    if found is not None:
        return found
    match = _DECIMAL.fullmatch(plain)
    if match is None:
        raise ValueError("not a type")
    precision, scale = int(match[1]), int(match[2] or 0)
    if not 1 <= precision <= _MAX_PRECISION or scale > precision:
        raise ValueError("not a decimal that can be kept")
    return pa.decimal128(precision, scale)
