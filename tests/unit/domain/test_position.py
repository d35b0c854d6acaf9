"""Positions cover what lies before them; sequences keep their order when packed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.position import (
    SEQUENCE_TYPE,
    Position,
    Sequence,
    commits_of,
    pack_sequences,
    sequence_halves,
    transactions_of,
)

SEQUENCES = st.builds(
    Sequence, st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1), st.integers(0, 1), st.integers(0, 2**44 - 1)
)
POSITIONS = st.builds(Position, st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)))


def test_a_position_covers_itself_and_what_lies_before_it_in_every_part() -> None:
    here = Position({"0": 5, "1": 7})
    assert here.covers(here)
    assert here.covers(Position({"0": 5, "1": 6}))
    assert here.covers(Position({"0": 1}))
    assert not here.covers(Position({"0": 6, "1": 1}))
    assert not here.covers(Position({"2": 0}))


def test_parts_of_text_are_compared_as_text_and_never_with_numbers() -> None:
    assert Position({"file": "b"}).covers(Position({"file": "a"}))
    assert not Position({"file": "a"}).covers(Position({"file": "b"}))
    with pytest.raises(TypeError):
        Position({"p": 1}).covers(Position({"p": "1"}))


@given(POSITIONS, POSITIONS, POSITIONS)
def test_covering_is_a_partial_order(one: Position, two: Position, three: Position) -> None:
    assert (one.covers(two) and two.covers(one)) == (one == two)
    assert one.covers(three) or not (one.covers(two) and two.covers(three))


@given(POSITIONS)
def test_a_position_is_restored_from_its_text(position: Position) -> None:
    assert Position.decode(position.encode()) == position
    assert hash(Position.decode(position.encode())) == hash(position)


def test_the_text_of_a_position_does_not_depend_on_the_order_of_its_parts() -> None:
    assert Position({"b": 1, "a": 2}).encode() == Position({"a": 2, "b": 1}).encode() == '{"a":2,"b":1}'


@given(SEQUENCES)
def test_a_sequence_is_restored_from_its_number_which_has_at_most_38_digits(sequence: Sequence) -> None:
    assert Sequence.unpack(sequence.pack()) == sequence
    assert 0 <= sequence.pack() < 10**38


@given(SEQUENCES, SEQUENCES)
def test_packed_sequences_keep_their_order(one: Sequence, two: Sequence) -> None:
    assert (one < two) == (one.pack() < two.pack())


@given(st.lists(SEQUENCES, max_size=5), st.integers(0, 2**16 - 1), st.integers(0, 1))
def test_many_are_packed_as_one_is(sequences: list[Sequence], epoch: int, phase: int) -> None:
    commits = np.array([sequence.commit for sequence in sequences], np.uint64)
    ordinals = np.array([sequence.ordinal for sequence in sequences], np.uint64)
    packed = pack_sequences(epoch, commits, phase, ordinals)
    packed.validate(full=True)
    expected = [Sequence(epoch, int(c), phase, int(o)).pack() for c, o in zip(commits, ordinals, strict=True)]
    assert [int(value) for value in packed.to_pylist()] == expected
    assert commits_of(packed).tolist() == commits.tolist()


def test_one_commit_may_be_given_for_all() -> None:
    packed = pack_sequences(1, 2**63, 1, np.arange(2))
    assert [int(value) for value in packed.to_pylist()] == [Sequence(1, 2**63, 1, n).pack() for n in (0, 1)]


def test_slices_chunks_and_nothing_are_read_alike() -> None:
    packed = pack_sequences(1, np.array([5, 6, 7], np.uint64), 1, np.arange(3))
    chunked = pa.chunked_array([packed[:1], packed[1:]])
    assert commits_of(packed[1:]).tolist() == [6, 7]
    assert commits_of(chunked).tolist() == [5, 6, 7]
    assert commits_of(chunked.slice(1, 2)).tolist() == [6, 7]
    assert sequence_halves(pa.chunked_array([], SEQUENCE_TYPE)).shape == (0, 2)
    assert transactions_of(pa.chunked_array([], SEQUENCE_TYPE)).tolist() == []


@given(st.lists(SEQUENCES, max_size=6).map(sorted))
def test_transactions_are_numbered_by_epoch_commit_and_phase(sequences: list[Sequence]) -> None:
    packed = pa.array([sequence.pack() for sequence in sequences], SEQUENCE_TYPE)
    groups = sorted({(sequence.epoch, sequence.commit, sequence.phase) for sequence in sequences})
    expected = [groups.index((sequence.epoch, sequence.commit, sequence.phase)) for sequence in sequences]
    assert transactions_of(packed).tolist() == expected
