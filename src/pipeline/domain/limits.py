"""How large a value a warehouse takes, and which values of a column are larger.

Which warehouse has which limits is its adapter's to say; what becomes of rows with larger values is ``validation``'s.
"""

from __future__ import annotations

import json
import re
from typing import TypeAlias

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.valuetext import is_binary, is_text, literals, one_array, plain

ColumnValues: TypeAlias = pa.Array | pa.ChunkedArray

#: Decimal digits that a floating-point number of 64 bits keeps, whatever they are.
_FLOAT_DIGITS = 15
#: What a number that may be too long looks like; most documents hold none, and only those are read.
_SUSPECT = r"[0-9][0-9.]{{{},}}|[0-9][eE][+-]?[0-9]"


@attrs.frozen
class ValueLimits:
    """What a warehouse takes at most, None: anything. ``text_bytes`` of UTF-8 text, and of lists, structs and documents
    as their JSON texts; ``binary_bytes`` of a binary value; ``document_digits`` of a number within a JSON document,
    fewer with an exponent, which makes it floating point.
    """

    text_bytes: int | None = None
    binary_bytes: int | None = None
    document_digits: int | None = None


#: What a warehouse takes that takes everything.
UNLIMITED = ValueLimits()


def oversize_rows(values: ColumnValues, limits: ValueLimits) -> np.ndarray | None:
    """The rows (boolean) whose value takes more bytes than ``limits`` allow, None if none does."""
    most = limits.binary_bytes if is_binary(plain(values.slice(0, 0)).type) else limits.text_bytes
    if most is None or values.nbytes <= most:
        return None
    values = plain(values)
    if not (is_text(values.type) or is_binary(values.type)):
        if not pa.types.is_nested(values.type):
            return None
        values = literals(one_array(values))
    return _rows(pc.greater(pc.binary_length(values), most))


def inexact_rows(documents: ColumnValues, limits: ValueLimits) -> np.ndarray | None:
    """The rows (boolean) whose JSON document holds a number of more digits than ``limits`` allow, None if none does."""
    if limits.document_digits is None:
        return None
    texts = plain(one_array(documents))
    suspect = _rows(pc.match_substring_regex(texts, _SUSPECT.format(limits.document_digits)))
    if suspect is None:
        return None
    for row in np.flatnonzero(suspect):
        suspect[row] = _has_long_number(texts[int(row)].as_py(), limits.document_digits)
    return suspect if suspect.any() else None


def _rows(mask: ColumnValues) -> np.ndarray | None:
    return np.array(pc.fill_null(mask, False)) if pc.any(mask).as_py() else None


def _has_long_number(text: str, most: int) -> bool:
    found = False

    def look(number: str) -> float:
        nonlocal found
        mantissa, _, exponent = number.lower().partition("e")
        digits = re.sub(r"[-.]", "", mantissa).lstrip("0")
        if exponent:
            found |= len(digits) > _FLOAT_DIGITS or float(number) in (float("inf"), float("-inf"))
        else:
            decimals = len(mantissa.partition(".")[2])
            found |= len(digits) > most or decimals >= most
        return 0.0

    json.loads(text, parse_int=look, parse_float=look, parse_constant=lambda _: 0.0)
    return found
