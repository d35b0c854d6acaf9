"""JSON lines as columns: at once where all is plain, line by line where anything is not, and the same either way."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pyarrow as pa
import pytest

from adapters.sources.files.casting import cast
from adapters.sources.files.content import Text, Unreadable
from adapters.sources.files.jsonlines import HALF_PAIR, NOT_JSON, NOT_OBJECT, TOO_DEEP, read_jsonl, shapes_of
from adapters.sources.files.typewords import shape_of

Bad = list[tuple[int, str, str]]


def read(
    content: bytes, words: Mapping[str, str], *, keeps_extra: bool = True, block_bytes: int = 1 << 20
) -> tuple[dict[str, list[object]], list[int], Bad, list[object]]:
    """All columns as values, the lines, the bad lines, and what is extra."""
    shapes = {name: shape_of(word) for name, word in words.items()}
    columns: dict[str, list[object]] = {name: [] for name in words}
    lines: list[int] = []
    bad: Bad = []
    extra: list[object] = []
    text = Text(io.BytesIO(content), "")
    for block in read_jsonl(text, shapes, keeps_extra=keeps_extra, block_bytes=block_bytes):
        for name, shape in shapes.items():
            values, unfit = cast(shape.column(name, name), block.columns[name])
            assert unfit == []
            columns[name] += values.to_pylist()
        lines += block.lines.tolist()
        bad += [(line.line, line.text, line.reason) for line in block.bad]
        extra += [None] * len(block.lines) if block.extra is None else block.extra.to_pylist()
    return columns, lines, bad, extra


PLAIN = b'{"id":1,"name":"a","price":1.5,"ok":true}\n{"id":2,"price":2}\n{"name":null,"id":3}\n'
WORDS = {"id": "int", "name": "text", "price": "float", "ok": "bool"}
ROWS = {"id": [1, 2, 3], "name": ["a", None, None], "price": [1.5, 2.0, None], "ok": [True, None, None]}


@pytest.mark.parametrize("block_bytes", [1 << 20, 50])
def test_members_become_columns_by_name(block_bytes: int) -> None:
    assert read(PLAIN, WORDS, block_bytes=block_bytes) == (ROWS, [1, 2, 3], [], [None, None, None])


def test_lines_that_are_no_objects_are_set_apart_and_the_rest_is_the_same() -> None:
    content = PLAIN + b'\n{"id":\n[1]\nnull\n{"id":4}{"id":5}\n{"id":NaN}\n'
    columns, lines, bad, _ = read(content, WORDS)
    assert (columns, lines) == (ROWS, [1, 2, 3])
    assert bad == [
        (5, '{"id":', NOT_JSON),
        (6, "[1]", NOT_OBJECT),
        (7, "null", NOT_JSON),
        (8, '{"id":4}{"id":5}', NOT_JSON),
        (9, '{"id":NaN}', NOT_JSON),
    ]


ODD_WORDS = {"id": "int"}, {"id": "int", "v": "text"}, {"id": "int", "v": "json"}


@pytest.mark.parametrize("words", ODD_WORDS)
@pytest.mark.parametrize("odd", ['"v":"\\ud800"', '"v":["\\udc00"]', '"\\ud800":1'])
def test_a_line_with_half_a_character_keeps_no_other_from_being_read(words: Mapping[str, str], odd: str) -> None:
    content = f'{{"id":1}}\n{{"id":2,{odd}}}\n{{"id":3}}\n'.encode()
    columns, lines, bad, _ = read(content, words)
    assert (columns["id"], lines) == ([1, 3], [1, 3])
    assert [(line, reason) for line, _, reason in bad] == [(2, HALF_PAIR)]
    assert set(shapes_of(content)) <= {"id", "v"}


@pytest.mark.parametrize("words", ODD_WORDS)
@pytest.mark.parametrize("depth", [600, 5_000])
def test_a_line_that_is_nested_too_deep_keeps_no_other_from_being_read(words: Mapping[str, str], depth: int) -> None:
    content = f'{{"id":1}}\n{{"id":2,"v":{"[" * depth}{"]" * depth}}}\n{{"id":3}}\n'.encode()
    _, lines, bad, _ = read(content, words)
    # How deep is too deep is Python's to say, and differs between its versions.
    assert (lines, [(line, reason) for line, _, reason in bad]) in (([1, 3], [(2, TOO_DEEP)]), ([1, 2, 3], []))
    assert "id" in shapes_of(content)


@pytest.mark.parametrize("two", ['{"id":1}{"id":2}', '{"id":1} \t{"id":2}\r', '{"id":1,"v":"}{"} {"id":2}'])
@pytest.mark.parametrize("none", ["", " \r", "\n"])
def test_two_objects_in_a_line_are_not_taken_for_those_of_blank_lines(two: str, none: str) -> None:
    content = f'{{"id":0}}\n{two}\n{none}\n{{"id":4}}\n'.encode()
    columns, lines, bad, _ = read(content, {"id": "int"}, keeps_extra=False)
    assert (columns["id"], lines) == ([0, 4], [1, 4 + none.count("\n")])
    assert [(line, reason) for line, _, reason in bad] == [(2, NOT_JSON)]


def test_an_object_of_many_lines_does_not_hide_that_another_line_has_two() -> None:
    _, lines, bad, _ = read(b'{"id":1}{"id":2,"x":{}\n,"y":{}}\n', {"id": "int"}, keeps_extra=False)
    assert (lines, [line for line, _, _ in bad]) == ([], [1, 2])


def test_texts_that_look_like_two_objects_are_read_at_once_too() -> None:
    content = b'{"id":1,"name":"{a}{b}"}\n{"id":2,"name":"}{"}\n'
    shapes = {"id": shape_of("int"), "name": shape_of("text")}
    [block] = read_jsonl(Text(io.BytesIO(content), ""), shapes, keeps_extra=True, block_bytes=1 << 20)
    assert block.columns["id"].equals(pa.array([1, 2]))


def test_numbers_keep_every_digit_where_the_column_has_room() -> None:
    content = b'{"n":123456789012345678901234567890.12,"t":1.10}\n'
    columns = read(content, {"n": "decimal(38, 2)", "t": "text"})[0]
    assert [str(value) for value in columns["n"]] == ["123456789012345678901234567890.12"]
    assert columns["t"] == ["1.10"]


def test_nested_values_become_json_with_every_digit() -> None:
    content = '{"d":{"a":[1.10,12345678901234567890123,"ä\\n"],"b":null,"c":true}}\n{"d":"plain"}\n{}\n'.encode()
    assert read(content, {"d": "json"})[0]["d"] == [
        '{"a":[1.10,12345678901234567890123,"ä\\n"],"b":null,"c":true}',
        '"plain"',
        None,
    ]


def test_members_that_no_column_is_known_for_are_kept_apart_or_left_out() -> None:
    content = b'{"id":1}\n{"id":2,"new":{"a":1}}\n'
    assert read(content, {"id": "int"})[3] == [None, '{"new":{"a":1}}']
    assert read(content, {"id": "int"}, keeps_extra=False) == ({"id": [1, 2]}, [1, 2], [], [None, None])


def test_texts_of_times_are_read_as_the_column_says() -> None:
    content = b'{"at":"2026-01-31T12:00:00Z"}\n'
    assert read(content, {"at": "text"})[0] == {"at": ["2026-01-31T12:00:00Z"]}
    assert str(read(content, {"at": "timestamptz"})[0]["at"][0]) == "2026-01-31 12:00:00+00:00"


def test_a_line_without_an_end_does_not_fill_memory() -> None:
    with pytest.raises(Unreadable, match="eight blocks"):
        read(b'{"a":"' + b"x" * 10_000 + b'"}', {"a": "text"}, block_bytes=1_000)


def test_a_sample_shows_the_columns_and_what_holds_their_values() -> None:
    sample = b'{"a":1,"b":"x","c":[1],"d":null}\n{"a":1.5,"d":true,"e":9999999999999999999}\nno json\n'
    words = {name: shape.word for name, shape in shapes_of(sample).items()}
    assert words == {"a": "float", "b": "text", "c": "json", "d": "bool", "e": "text"}


def test_lines_longer_than_a_part_of_a_block_are_read_at_once_too() -> None:
    long = "x" * 1_500_000
    content = f'{{"id":1,"name":"a"}}\n{{"id":2,"name":"{long}"}}\n{{"id":3,"name":"b"}}\n'.encode()
    shapes = {"id": shape_of("int"), "name": shape_of("text")}
    [block] = read_jsonl(Text(io.BytesIO(content), ""), shapes, keeps_extra=True, block_bytes=1 << 21)
    assert block.columns["id"].equals(pa.array([1, 2, 3]))
    assert (block.columns["name"].to_pylist(), block.lines.tolist()) == (["a", long, "b"], [1, 2, 3])


def test_a_number_of_thousands_of_digits_makes_its_column_a_text() -> None:
    [shape] = shapes_of(b'{"id":' + b"9" * 5_000 + b"}\n").values()
    assert shape.word == "text"
