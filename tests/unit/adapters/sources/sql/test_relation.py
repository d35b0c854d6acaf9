"""Names of tables as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sources.sql.relation import RelationName
from pipeline.domain.errors import ConfigError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("orders", RelationName("main", "orders")),
        ("sales.Orders", RelationName("sales", "Orders")),
        ('"a.b"."c""d"', RelationName("a.b", 'c"d')),
        ("two words", RelationName("main", "two words")),
    ],
)
def test_a_name_has_a_schema_of_its_own_or_the_default(text: str, name: RelationName) -> None:
    assert RelationName.parse(text, schema="main") == name


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a.b.c", '"a', 'a"b', '"a"b'])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        RelationName.parse(text)


@given(NAMES, NAMES)
def test_what_is_shown_is_read_again(schema: str, name: str) -> None:
    known = RelationName(schema, name)
    assert RelationName.parse(known.shown()) == known
