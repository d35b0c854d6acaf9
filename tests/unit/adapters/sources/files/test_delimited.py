"""CSV as columns of texts: headers, quoting, blank lines, bad lines, and the number of each line."""

from __future__ import annotations

import io

import attrs
import pytest

from adapters.sources.files.content import Text, Unreadable
from adapters.sources.files.delimited import NOT_CLOSED, WRONG_COUNT, read_csv
from adapters.sources.files.options import CsvOptions


def read(
    content: bytes, *, block_bytes: int = 1 << 20, **options: object
) -> tuple[dict[str, list[object]], list[int], list[tuple[int, str, str]]]:
    """All columns, the lines, and the bad lines."""
    csv = attrs.evolve(CsvOptions(), **options)
    columns: dict[str, list[object]] = {}
    lines: list[int] = []
    bad: list[tuple[int, str, str]] = []
    for block in read_csv(Text(io.BytesIO(content), csv.encoding), csv, wanted=None, block_bytes=block_bytes):
        for name, values in block.columns.items():
            columns.setdefault(name, []).extend(values.to_pylist())
        lines += block.lines.tolist()
        bad += [(line.line, line.text, line.reason) for line in block.bad]
    return columns, lines, bad


def test_values_are_texts_and_only_what_is_not_quoted_may_be_null() -> None:
    assert read(b'a,b\n1,\n"",x\n') == ({"a": ["1", ""], "b": [None, "x"]}, [2, 3], [])


def test_texts_for_null_can_be_chosen() -> None:
    assert read(b"a,b\n1,NA\n2,x\n", null_texts=("NA",))[0] == {"a": ["1", "2"], "b": [None, "x"]}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_ends_quotes_and_delimiters_within_quotes_belong_to_values(end: bytes) -> None:
    content = end.join([b"a;b", b"'x;y';'it''s'", b"'two", b"lines';z", b""])
    columns, lines, bad = read(content, delimiter=";", quote="'")
    assert columns == {"a": ["x;y", f"two{end.decode()}lines"], "b": ["it's", "z"]}
    assert (lines, bad) == ([2, 3], [])


def test_without_a_quote_quotes_are_plain_characters() -> None:
    assert read(b'a,b\n"x,y"\n', quote="")[0] == {"a": ['"x'], "b": ['y"']}


def test_lines_with_nothing_in_them_are_no_rows_but_count() -> None:
    assert read(b"a,b\n\n1,2\n\n\n3,4\n\n") == ({"a": ["1", "3"], "b": ["2", "4"]}, [3, 6], [])
    assert read(b"a\n1\n\n2\n") == ({"a": ["1", "2"]}, [2, 4], [])


@pytest.mark.parametrize("block_bytes", [1 << 20, 40, 64])
def test_bad_lines_are_told_by_their_numbers_across_blocks(block_bytes: int) -> None:
    rows = [f"{number},x" if number % 7 else f"{number},x,y" for number in range(1, 101)]
    columns, lines, bad = read(("a,b\n" + "\n".join(rows) + "\n").encode(), block_bytes=block_bytes)
    assert columns["a"] == [str(number) for number in range(1, 101) if number % 7]
    assert lines == [number + 1 for number in range(1, 101) if number % 7]
    assert bad == [(number + 1, f"{number},x,y", WRONG_COUNT) for number in range(7, 101, 7)]


def test_a_bad_line_may_hold_bytes_of_no_encoding() -> None:
    assert read(b"a,b\n\xff\n1,2\n") == ({"a": ["1"], "b": ["2"]}, [3], [(2, "\\xff", WRONG_COUNT)])


def test_only_the_beginning_of_a_long_bad_line_is_kept() -> None:
    (_, _, ((line, text, _),)) = read(b"a,b\n" + b"x" * 5_000 + b"\n1,2\n")
    assert (line, len(text)) == (2, 1_001)


def test_quoted_text_that_is_not_closed_is_set_apart() -> None:
    assert read(b'a,b\n1,2\n3,"4\n5,6\n') == ({"a": ["1"], "b": ["2"]}, [2], [(3, "", NOT_CLOSED)])
    assert read(b'a,b\n1,2\n3,"4') == ({"a": ["1"], "b": ["2"]}, [2], [(3, "", NOT_CLOSED)])
    assert read(b'a,b\n1,5" pipe\n')[0] == {"a": ["1"], "b": ['5" pipe']}


def test_a_file_of_a_header_alone_has_no_rows() -> None:
    assert read(b"a,b\n") == ({}, [], [])
    assert read(b"a,b") == ({}, [], [])
    assert read(b"a,b\n\n\n") == ({}, [], [])


def test_a_file_without_a_header_takes_given_names() -> None:
    assert read(b"1,2\n", has_header=False, names=("x", "y")) == ({"x": ["1"], "y": ["2"]}, [1], [])
    assert read(b"a,b\n1,2\n", names=("x", "y")) == ({"x": ["1"], "y": ["2"]}, [2], [])


def test_lines_before_the_header_are_skipped_and_count() -> None:
    assert read(b"report\nof today\na,b\n1,2\n", skip_lines=2) == ({"a": ["1"], "b": ["2"]}, [4], [])


def test_names_that_are_missing_or_come_twice_get_numbers() -> None:
    assert list(read(b"a,,a, b \n1,2,3,4\n")[0]) == ["a", "column_2", "a_2", "b"]
    assert list(read(b'"a\nb",c\n1,2\n')[0]) == ["a\nb", "c"]


def test_a_file_without_anything_but_blanks_has_no_header() -> None:
    with pytest.raises(Unreadable, match="no header"):
        read(b"\n\n")


def test_encodings_are_read_as_named() -> None:
    assert read("a\nä€\n".encode("cp1252"), encoding="cp1252")[0] == {"a": ["ä€"]}
    assert read("a\nä€\n".encode("utf-16"))[0] == {"a": ["ä€"]}
    assert read(b"\xef\xbb\xbfa\n1\n")[0] == {"a": ["1"]}
