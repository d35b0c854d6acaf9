"""Tables follow the schema of their source, or refuse to, and nobody's values end in another column."""

from __future__ import annotations

from typing import Any

import attrs
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.contract import OnSchemaChange
from pipeline.domain.errors import SchemaRefused
from pipeline.domain.evolution import Evolution, evolve, without_source_ids
from pipeline.domain.fitting import holds
from pipeline.domain.loading import AddColumn, ChangeType, DropColumn, RenameColumn
from pipeline.domain.matching import match
from pipeline.domain.naming import column_names
from pipeline.domain.schema import Column, StreamSchema

ID = Column("id", pa.int64(), nullable=False, source_id=1)
A = Column("a", pa.int32(), source_id=2)
B = Column("b", pa.string(), source_id=3)
EVOLVE, DISCARD, STOP = OnSchemaChange.EVOLVE, OnSchemaChange.DISCARD, OnSchemaChange.STOP


def schema(*columns: Column, key: tuple[str, ...] = ("id",)) -> StreamSchema:
    return StreamSchema((ID, *columns), key=key)


def widens(before: pa.DataType, after: pa.DataType) -> bool:
    """As a warehouse that widens numbers in place and nothing else."""
    return holds(after, before) and not pa.types.is_string(after)


def evolved(before: StreamSchema, after: StreamSchema, policy: OnSchemaChange = EVOLVE) -> Evolution:
    """The evolution, once more checked to be final."""
    evolution = evolve(before, after, policy=policy, widens=widens)
    again = evolve(evolution.schema, after, policy=policy, widens=widens)
    assert again == Evolution(evolution.schema, discarded=evolution.discarded)
    return evolution


def gone(column: Column, **changes: Any) -> Column:
    return attrs.evolve(column, **{"dropped": True, "nullable": True, "default": None, **changes})


@pytest.mark.parametrize("policy", OnSchemaChange)
def test_the_same_schema_changes_nothing(policy: OnSchemaChange) -> None:
    assert evolved(schema(A, B), schema(A, B), policy) == Evolution(schema(A, B))
    assert evolved(schema(A, B), schema(B, A), policy) == Evolution(schema(A, B))


def test_a_new_column_is_added_with_its_default() -> None:
    new = attrs.evolve(B, default=pa.scalar("x"), nullable=False)
    assert evolved(schema(A), schema(new, A)) == Evolution(
        schema(A, new), (AddColumn(new),), phrases=("added column b (string)",)
    )


def test_a_new_column_gets_a_plain_type() -> None:
    new = attrs.evolve(B, type=pa.string_view(), default=pa.scalar("x", pa.string_view()))
    plain = attrs.evolve(B, default=pa.scalar("x"))
    assert evolved(schema(), schema(new)).changes == (AddColumn(plain),)


def test_a_new_column_is_left_out_where_the_contract_says_so() -> None:
    assert evolved(schema(A), schema(A, B), DISCARD) == Evolution(schema(A), discarded=("b",))


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (schema(A, B, Column("c", pa.int64(), source_id=4)), "column c is new or has another type"),
        (schema(A, attrs.evolve(B, name="c", source_name="c")), "column b is now called c"),
        (schema(attrs.evolve(A, type=pa.int64()), B), "column a has a wider type"),
        (schema(attrs.evolve(A, type=pa.bool_()), B), "column a is new or has another type"),
    ],
)
def test_a_contract_that_stops_refuses_new_and_changed_columns(after: StreamSchema, reason: str) -> None:
    with pytest.raises(SchemaRefused) as caught:
        evolved(schema(A, B), after, STOP)
    assert caught.value.what == f"The contract stops at schema changes: {reason}."
    assert "on_schema_change" in caught.value.hint


@pytest.mark.parametrize("policy", OnSchemaChange)
def test_a_dropped_column_stays_nullable_and_without_a_default(policy: OnSchemaChange) -> None:
    had = attrs.evolve(A, nullable=False, default=pa.scalar(1, pa.int32()))
    assert evolved(schema(had, B), schema(B), policy) == Evolution(
        schema(gone(A), B), (DropColumn("a"),), phrases=("kept column a, which the source dropped",)
    )


def test_a_renamed_column_keeps_its_place_and_values() -> None:
    c = attrs.evolve(A, name="c", source_name="c")
    assert evolved(schema(A, B), schema(B, c)) == Evolution(
        schema(c, B), (RenameColumn("a", attrs.evolve(A, name="c")),), phrases=("renamed column a to c",)
    )


def test_without_ids_a_renamed_column_is_a_dropped_and_a_new_one() -> None:
    a, c = attrs.evolve(A, source_id=None), Column("c", pa.int32())
    assert evolved(schema(a), schema(c)) == Evolution(
        schema(gone(a), c),
        (AddColumn(c), DropColumn("a")),
        phrases=("added column c (int32)", "kept column a, which the source dropped"),
    )


def test_a_chain_of_renames_is_done_from_its_end() -> None:
    after = schema(attrs.evolve(A, name="b", source_name="b"), attrs.evolve(B, name="c", source_name="c"))
    evolution = evolved(schema(A, B), after)
    assert evolution.schema == after
    assert evolution.phrases == ("renamed column b to c", "renamed column a to b")


def test_swapped_names_are_swapped_by_way_of_a_third() -> None:
    after = schema(attrs.evolve(A, name="b", source_name="b"), attrs.evolve(B, name="a", source_name="a"))
    evolution = evolved(schema(A, B), after)
    assert evolution.schema == after
    assert evolution.phrases == (
        "renamed column a to a_renaming",
        "renamed column b to a",
        "renamed column a_renaming to b",
    )


def test_a_key_column_may_be_renamed() -> None:
    number = attrs.evolve(ID, name="number", source_name="number")
    assert evolved(schema(A), StreamSchema((number, A), key=("number",))).schema == StreamSchema(
        (number, A), key=("number",)
    )


def test_a_renamed_column_takes_its_name_from_one_that_was_dropped() -> None:
    after = schema(attrs.evolve(B, name="a", source_name="a"))
    evolution = evolved(schema(A, B), after)
    assert evolution.schema == schema(gone(A, name="a_dropped"), *after.columns[1:])
    assert evolution.phrases == (
        "renamed column a to a_dropped",
        "renamed column b to a",
        "kept column a_dropped, which the source dropped",
    )


def test_a_column_dropped_and_added_again_is_another_column() -> None:
    again = attrs.evolve(A, source_id=9, default=pa.scalar(5, pa.int32()))
    evolution = evolved(schema(A, B), schema(B, again))
    assert evolution == Evolution(
        schema(gone(A, name="a_dropped"), B, again),
        (RenameColumn("a", attrs.evolve(A, name="a_dropped")), AddColumn(again), DropColumn("a_dropped")),
        phrases=(
            "renamed column a to a_dropped",
            "added column a (int32)",
            "kept column a_dropped, which the source dropped",
        ),
    )
    once_more = attrs.evolve(again, source_id=12)
    assert evolved(evolution.schema, schema(B, once_more)).schema.names == ("id", "a_dropped", "b", "a_dropped_2", "a")


def test_without_ids_a_column_that_comes_back_is_the_old_one() -> None:
    a = attrs.evolve(A, source_id=None)
    without = evolved(schema(a), schema()).schema
    assert evolved(without, schema(a)) == Evolution(schema(a))


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.decimal128(10, 2), pa.decimal128(12, 1), pa.decimal128(13, 2)),
        (pa.int16(), pa.float32(), pa.float32()),
    ],
    ids=str,
)
@pytest.mark.parametrize("policy", [EVOLVE, DISCARD])
def test_a_wider_type_widens_the_column_so_that_it_holds_old_and_new(
    old: pa.DataType, new: pa.DataType, kept: pa.DataType, policy: OnSchemaChange
) -> None:
    had = attrs.evolve(A, type=old, default=pa.scalar(1, pa.int8()).cast(old))
    now = attrs.evolve(A, type=kept, default=pa.scalar(1, pa.int8()).cast(kept))
    assert evolved(schema(had), schema(attrs.evolve(A, type=new)), policy) == Evolution(
        schema(now), (ChangeType(now),), phrases=(f"changed column a from {old} to {kept}",)
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (pa.int64(), pa.int32()),
        (pa.decimal128(12, 2), pa.decimal128(10, 1)),
        (pa.string(), pa.int64()),
        (pa.string(), pa.string_view()),
        (pa.timestamp("us"), pa.date32()),
    ],
    ids=str,
)
@pytest.mark.parametrize("policy", OnSchemaChange)
def test_a_type_whose_values_fit_stays_as_the_table_has_it(
    old: pa.DataType, new: pa.DataType, policy: OnSchemaChange
) -> None:
    had = attrs.evolve(A, type=old)
    assert evolved(schema(had), schema(attrs.evolve(A, type=new)), policy) == Evolution(schema(had))


def test_a_type_that_nothing_holds_is_a_new_column_and_the_old_one_stays() -> None:
    flag = attrs.evolve(A, type=pa.bool_())
    new = attrs.evolve(flag, name="a_2", source_name="a")
    evolution = evolved(schema(A, B), schema(flag, B))
    assert evolution == Evolution(
        schema(gone(A), B, new),
        (AddColumn(new), DropColumn("a")),
        phrases=("added column a_2 (bool)", "kept column a, which the source dropped"),
    )
    assert evolved(evolution.schema, schema(A, B)).schema == schema(A, B, gone(new))


def test_a_type_that_the_warehouse_cannot_change_in_place_is_a_new_column() -> None:
    assert evolved(schema(A), schema(attrs.evolve(A, type=pa.string()))).schema.names == ("id", "a", "a_2")


def test_a_column_that_still_fits_the_newest_of_its_columns_stays_there() -> None:
    as_text = evolved(schema(A), schema(attrs.evolve(A, type=pa.string()))).schema
    assert evolved(as_text, schema(A)) == Evolution(as_text)


def test_values_of_another_type_are_left_out_where_the_contract_discards() -> None:
    flag = attrs.evolve(A, type=pa.bool_())
    assert evolved(schema(A), schema(flag), DISCARD) == Evolution(
        schema(gone(A)),
        (DropColumn("a"),),
        discarded=("a",),
        phrases=("kept column a, which the source dropped",),
    )


def test_a_text_column_that_becomes_json_stays_text_and_the_other_way_becomes_text() -> None:
    document = attrs.evolve(B, json=True)
    assert evolved(schema(B), schema(document)) == Evolution(schema(B))
    assert evolved(schema(document), schema(B)) == Evolution(
        schema(B), (ChangeType(B),), phrases=("changed column b from json to string",)
    )


@pytest.mark.parametrize("policy", OnSchemaChange)
def test_not_null_is_noted_and_never_stands_in_the_way(policy: OnSchemaChange) -> None:
    strict = attrs.evolve(A, nullable=False)
    assert evolved(schema(strict), schema(A), policy) == Evolution(schema(A))
    assert evolved(schema(A), schema(strict), policy) == Evolution(schema(A))


@pytest.mark.parametrize("policy", OnSchemaChange)
@pytest.mark.parametrize(
    "after",
    [
        pytest.param(StreamSchema((ID, A, B), key=("id", "a")), id="wider key"),
        pytest.param(StreamSchema((ID, A, B), key=("a",)), id="other key"),
        pytest.param(StreamSchema((ID, A, B)), id="no key"),
        pytest.param(StreamSchema((attrs.evolve(ID, type=pa.bool_()), A, B), key=("id",)), id="other type"),
        pytest.param(StreamSchema((attrs.evolve(ID, source_id=9), A, B), key=("id",)), id="another column"),
    ],
)
def test_another_key_is_refused(after: StreamSchema, policy: OnSchemaChange) -> None:
    with pytest.raises(SchemaRefused) as caught:
        evolved(schema(A, B), after, policy)
    assert "key changed from (id) to" in caught.value.what
    assert "resync" in caught.value.hint


def test_a_key_column_may_become_wider_and_the_order_of_the_key_is_no_matter() -> None:
    before = StreamSchema((A, B), key=("a", "b"))
    wide = attrs.evolve(A, type=pa.int64())
    assert evolved(before, StreamSchema((wide, B), key=("b", "a"))).schema == StreamSchema((wide, B), key=("a", "b"))


def test_names_given_for_a_warehouse_that_folds_case_are_kept() -> None:
    lower, upper = Column("a", pa.int64(), source_id=2), Column("A_2", pa.int64(), source_name="A", source_id=3)
    only_upper = Column("A", pa.int64(), source_id=3)
    without = evolved(schema(lower, upper), schema(only_upper))
    assert without.schema == schema(gone(lower), upper)
    assert without.changes == (DropColumn("a"),)
    added = evolved(schema(only_upper), schema(lower, upper))
    assert added.schema == schema(only_upper, attrs.evolve(lower, name="a_2", source_name="a"))


def test_several_steps_at_once() -> None:
    before = schema(A, B, Column("c", pa.int64(), source_id=4), Column("d", pa.int64(), source_id=5))
    wide = Column("c", pa.int64(), source_id=2)
    new = Column("b", pa.int64(), source_id=8)
    after = schema(wide, attrs.evolve(B, name="text", source_name="text"), Column("d", pa.int64(), source_id=5), new)
    evolution = evolved(before, after)
    assert evolution.phrases == (
        "renamed column b to text",
        "renamed column c to c_dropped",
        "renamed column a to c",
        "changed column c from int32 to int64",
        "added column b (int64)",
        "kept column c_dropped, which the source dropped",
    )
    assert evolution.schema.names == ("id", "c", "text", "c_dropped", "d", "b")


def test_a_recreated_source_is_matched_by_names_alone() -> None:
    recreated = schema(attrs.evolve(B, source_id=2), attrs.evolve(A, source_id=3))
    evolution = evolved(without_source_ids(schema(A, B)), recreated)
    assert evolution == Evolution(schema(attrs.evolve(A, source_id=3), attrs.evolve(B, source_id=2)))


# --- A source that is altered at random, and tables that follow it ---------------------------------------------------

#: Which type an altered column gets, by the one it has: wider, narrower or of another kind.
ALTERED = [pa.int32(), pa.int64(), pa.string(), pa.bool_()]
NAMES = ["a", "A", "b", "a_2", "a_dropped"]


@st.composite
def histories(draw: st.DrawFn) -> list[StreamSchema]:
    """Schemas of one source in time, each after a few ALTER TABLEs."""
    columns: dict[str, tuple[int, pa.DataType]] = {}
    found, next_id = [], 2
    for _ in range(draw(st.integers(1, 5))):
        for _ in range(draw(st.integers(0, 4))):
            name = draw(st.sampled_from(NAMES))
            if name not in columns:
                columns[name] = (next_id, draw(st.sampled_from(ALTERED)))
                next_id += 1
            elif draw(st.booleans()):
                number, kind = columns.pop(name)
                new = draw(st.sampled_from(["", *NAMES]))  # dropped, or renamed where the name is free
                if new and new not in columns:
                    columns[new] = (number, kind)
            else:
                columns[name] = (columns[name][0], draw(st.sampled_from(ALTERED)))
        ordered = sorted(columns.items(), key=lambda item: item[1][0])
        names = column_names([name for name, _ in ordered])
        found.append(
            schema(*(Column(names[name], kind, source_name=name, source_id=number) for name, (number, kind) in ordered))
        )
    return found


def migrated(columns: dict[str, tuple[int | None, pa.DataType]], evolution: Evolution) -> dict[str, Any]:
    """A table's columns (whose values they hold, and their type) after the changes, done one by one as told."""
    table = dict(columns)
    for change in evolution.changes:
        match change:
            case AddColumn(column):
                assert column.name.casefold() not in {name.casefold() for name in table}
                table[column.name] = (column.source_id, column.type)
            case ChangeType(column):
                table[column.name] = (table[column.name][0], column.type)
            case RenameColumn(name, column):
                held = table.pop(name)
                assert column.name.casefold() not in {name.casefold() for name in table}
                table[column.name] = held
            case DropColumn(name):
                assert name in table
    return table


@settings(max_examples=300, deadline=None)
@given(history=histories(), policy=st.sampled_from([EVOLVE, DISCARD]))
def test_tables_follow_any_history_and_every_column_keeps_its_own_values(
    history: list[StreamSchema], policy: OnSchemaChange
) -> None:
    state = history[0]
    table = {column.name: (column.source_id, column.type) for column in state.columns}
    for after in history[1:]:
        evolution = evolved(state, after, policy)
        table = migrated(table, evolution)
        state = evolution.schema
        assert table == {column.name: (column.source_id, column.type) for column in state.columns}
        places = match_all(after, state)
        left_out = {column.name for column in after.columns} - set(places)
        assert left_out == set(evolution.discarded)
        assert policy is DISCARD or not left_out
        for name, place in places.items():
            assert place.source_id == after.column(name).source_id
            assert holds(place.type, after.column(name).type)
            assert not place.dropped


def match_all(after: StreamSchema, state: StreamSchema) -> dict[str, Column]:
    return match(after.columns, state.columns)
