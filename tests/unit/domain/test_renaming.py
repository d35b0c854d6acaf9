"""Renaming columns, rings of names included, and undoing any part of it."""

from collections.abc import Iterable

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.loading import RenameColumn
from pipeline.domain.renaming import free_name, ordered_renames, undone
from pipeline.domain.schema import Column, StreamSchema

NAMES = ["a", "b", "c", "d", "a_renaming", "b_2"]
names = st.lists(st.sampled_from(NAMES), min_size=1, unique=True)


def renamed(columns: list[str], renames: Iterable[RenameColumn]) -> list[str]:
    """The names in their places after the renames; no name may be in use twice on the way."""
    for rename in renames:
        columns = [rename.column.name if name == rename.name else name for name in columns]
        assert len(set(columns)) == len(columns)
    return columns


def schema(columns: list[str]) -> StreamSchema:
    return StreamSchema([Column(name, pa.int32()) for name in columns])


@given(names, st.permutations(NAMES))
def test_columns_get_the_names_wished(before: list[str], wished: list[str]) -> None:
    wishes = [*zip(schema(before).columns, wished, strict=False)]
    assert renamed(before, ordered_renames(wishes)) == wished[: len(before)]


@given(names, st.permutations(NAMES), st.integers(0, 12), st.lists(st.sampled_from(["x", "y"]), unique=True))
def test_any_part_of_a_migration_is_undone(before: list[str], wished: list[str], done: int, added: list[str]) -> None:
    wishes = [*zip(schema(before).columns, wished, strict=False)]
    found = renamed(before, ordered_renames(wishes)[:done]) + added
    dropped, renames = undone(found, schema(before))
    assert (dropped, renamed([name for name in found if name not in dropped], renames)) == (tuple(added), before)


def test_of_a_table_that_has_lost_columns_nothing_is_undone() -> None:
    assert undone(["b"], schema(["a", "b"])) == ((), ())


def test_a_name_is_numbered_where_it_is_taken_or_was() -> None:
    assert free_name("a", taken=["b"], avoid=["a"]) == "a"
    assert free_name("a", taken=["A"], avoid=["a_2"]) == "a_3"
