"""Types of columns: the words that a pipeline file has for them, and one type for what several files show.

Reading values as a type is ``casting``'s.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pyarrow as pa

from adapters.sources.typewords import JSON as JSON_WORD
from adapters.sources.typewords import WORDS, type_of
from pipeline.domain.fitting import common_type
from pipeline.domain.schema import Column

_MAX_PRECISION = 38

#: Kinds of Arrow types, and the type that holds their values here; None where it is the same.
_ARROW: tuple[tuple[Callable[[pa.DataType], bool], pa.DataType | None], ...] = (
    (pa.types.is_null, None),
    (pa.types.is_boolean, None),
    (pa.types.is_integer, None),
    (pa.types.is_float16, pa.float32()),
    (pa.types.is_floating, None),
    (pa.types.is_date, pa.date32()),
    (pa.types.is_time, pa.time64("us")),
    (pa.types.is_binary, None),
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_binary_view, pa.binary()),
    (pa.types.is_fixed_size_binary, pa.binary()),
)


@attrs.frozen
class Shape:
    """What a column holds: its Arrow type (null where no value was seen), and whether its text is a JSON document."""

    type: pa.DataType
    json: bool = False

    def column(self, source_name: str, name: str) -> Column:
        """A column of this shape; of one whose values are all null it is text."""
        kind = pa.string() if pa.types.is_null(self.type) else self.type
        return Column(name, kind, source_name=source_name, source_type=self.word, json=self.json)

    @property
    def has_word(self) -> bool:
        """Whether ``shape_of`` knows its word."""
        return self.json or self.type in WORDS.values() or pa.types.is_decimal128(self.type)

    @property
    def word(self) -> str:
        """The word for it, or Arrow's where there is none."""
        if self.json:
            return "json"
        if pa.types.is_decimal(self.type):
            return f"decimal({self.type.precision}, {self.type.scale})"
        return next((word for word, kind in WORDS.items() if kind == self.type), str(self.type))


TEXT = Shape(pa.string())
JSON = Shape(pa.string(), json=True)
UNKNOWN = Shape(pa.null())


def shape_of(word: str) -> Shape:
    """The shape that a word means; raises ``ValueError`` for one that means nothing."""
    return Shape(type_of(word), json=word.strip().lower() == JSON_WORD)


def shape_of_arrow(kind: pa.DataType) -> Shape:
    """The shape in which values of an Arrow type, as a file has them, reach the warehouse."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return shape_of_arrow(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return shape_of_arrow(kind.storage_type)
    if pa.types.is_nested(kind):
        return JSON
    if pa.types.is_decimal(kind):
        fits = kind.precision <= _MAX_PRECISION and kind.scale >= 0
        return Shape(pa.decimal128(kind.precision, kind.scale)) if fits else TEXT
    if pa.types.is_timestamp(kind):
        return Shape(pa.timestamp("us", "UTC" if kind.tz else None))
    return next((Shape(shown or kind) for test, shown in _ARROW if test(kind)), TEXT)


def unified(left: Shape, right: Shape) -> Shape:
    """The shape for a column that two files show differently: the wider one, numbers as floats, else text."""
    if left == right or pa.types.is_null(right.type):
        return left
    if pa.types.is_null(left.type):
        return right
    if left.json or right.json:
        return TEXT
    kind = common_type(left.type, right.type) or common_type(right.type, left.type)
    if kind is not None and not (pa.types.is_string(kind) and not _is_textual(left, right)):
        return Shape(kind)
    return Shape(pa.float64()) if _is_number(left.type) and _is_number(right.type) else TEXT


def _is_textual(left: Shape, right: Shape) -> bool:
    return bool(pa.types.is_string(left.type) or pa.types.is_string(right.type))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
