"""Array literals become JSON arrays that hold the same elements."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sources.postgres.arrays import is_array
from adapters.sources.postgres.values import parse
from pipeline.domain.schema import Column


def read(source_type: str, texts: list[str | None]) -> tuple[list[str | None], list[tuple[list[int], list[str], str]]]:
    """JSON texts and misfits of a column of arrays."""
    column = Column("c", pa.string(), source_type=source_type, json=True)
    values, misfits = parse(column, pa.array(texts, pa.string()))
    return values.to_pylist(), [(rows.to_pylist(), shown.to_pylist(), reason) for rows, shown, reason in misfits]


@pytest.mark.parametrize(
    ("source_type", "literal", "expected"),
    [
        ("integer[]", "{}", "[]"),
        ("integer[]", "{1,-2,3}", "[1,-2,3]"),
        ("bigint[]", "{{1,2},{3,4}}", "[[1,2],[3,4]]"),
        ("integer[]", "{1,NULL}", "[1,null]"),
        ("integer[]", "[0:2]={7,8,9}", "[7,8,9]"),
        ("integer[]", "[-1:0][2:3]={{1,2},{3,4}}", "[[1,2],[3,4]]"),
        ("numeric(10,2)[]", "{1.50,12345678901234567890.12}", "[1.50,12345678901234567890.12]"),
        ("numeric[]", "{NaN,1.5,Infinity}", '["NaN",1.5,"Infinity"]'),
        ("double precision[]", "{-0,1e+20,NaN,-Infinity}", '[-0,1e+20,"NaN","-Infinity"]'),
        ("boolean[]", "{t,f,NULL}", "[true,false,null]"),
        ("text[]", "{}", "[]"),
        ("text[]", "{a,b}", '["a","b"]'),
        ("text[]", "{nullify,é}", '["nullify","é"]'),
        ("text[]", '{NULL,"NULL",""}', '[null,"NULL",""]'),
        ("text[]", r'{"a,b","{x}","q\"q","b\\s"," "}', r'["a,b","{x}","q\"q","b\\s"," "]'),
        ("text[]", "{{a,b},{c,d}}", '[["a","b"],["c","d"]]'),
        ("text[]", "{a\x01b}", '["a\\u0001b"]'),
        ("text[]", '{"line\nbreak"}', '["line\\nbreak"]'),
        ("character varying(5)[]", "{a}", '["a"]'),
        ("timestamp(3) with time zone[]", '{"2024-01-01 00:00:00+00"}', '["2024-01-01 00:00:00+00"]'),
        ("jsonb[]", r'{"{\"a\": [1, null]}","null",2}', '[{"a": [1, null]},null,2]'),
        ("box[]", "{(1,1),(0,0);(2,2),(1,1)}", '["(1,1),(0,0)","(2,2),(1,1)"]'),
        ("bytea[]", r'{"\\x00ff"}', r'["\\x00ff"]'),
        ("tags (text[])", "{a,b}", '["a","b"]'),
        ("scores (int4[])", "{1,2}", "[1,2]"),
    ],
)
def test_a_literal_becomes_json(source_type: str, literal: str, expected: str) -> None:
    assert read(source_type, [literal]) == ([expected], [])
    assert json.loads(expected) is not None


@pytest.mark.parametrize(
    ("source_type", "texts", "expected"),
    [
        ("text[]", ["{a,b}", None, '{"a b"}', "{a,b}", "{}"], ['["a","b"]', None, '["a b"]', '["a","b"]', "[]"]),
        ("integer[]", ["{1,2}", None, "{1,NULL}", "{}"], ["[1,2]", None, "[1,null]", "[]"]),
        ("boolean[]", [None, "{t}"], [None, "[true]"]),
        ("boolean[]", [None, None], [None, None]),
    ],
)
def test_quick_and_slow_literals_share_a_column(
    source_type: str, texts: list[str | None], expected: list[str | None]
) -> None:
    assert read(source_type, texts) == (expected, [])


@pytest.mark.parametrize("bad", ["", "x", "{", "{1,2", '{"a', "{a}b", "[0:1]", '{"a\\'])
def test_a_text_that_is_no_array_is_a_misfit(bad: str) -> None:
    assert read("text[]", ["{a}", bad, None]) == (
        ['["a"]', None, None],
        [([1], [bad], "array literal that cannot be read")],
    )


def test_domains_over_arrays_are_arrays_and_quoted_names_are_not() -> None:
    assert [is_array(name) for name in ("integer[]", "tags (text[])", '"odd[]"', "jsonb", "numeric(3)")] == [
        *(True, True),
        *(False, False, False),
    ]


_TEXT = st.text(st.characters(blacklist_characters="\x00", blacklist_categories=["Cs"]), max_size=6)


@given(
    st.lists(
        st.none() | st.lists(st.none() | _TEXT | st.sampled_from(["NULL", "{}", '"', "\\", ","]), max_size=4),
        max_size=6,
    )
)
def test_text_arrays_come_back_as_they_were(rows: list[Any]) -> None:
    values, misfits = read("text[]", [None if row is None else _literal(row) for row in rows])

    assert ([None if value is None else json.loads(value) for value in values], misfits) == (rows, [])


def _literal(row: list[str | None]) -> str:
    """As array_out writes it: quoted only where needed."""
    written = []
    for text in row:
        if text is None:
            written.append("NULL")
        elif text == "" or text.upper() == "NULL" or set(text) & set('{},"\\ \t\n\r\v\f'):
            written.append('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
        else:
            written.append(text)
    return "{" + ",".join(written) + "}"
