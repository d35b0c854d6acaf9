"""Parquet is read by row groups, in pieces that do not grow with the file or with its rows (P11)."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from adapters.sources.files.parquet import read_parquet

MB = 1024 * 1024
GROUP_ROWS = 4_000


def stored(*groups: pa.Table, **options: object) -> io.BytesIO:
    """A file of these row groups."""
    file = io.BytesIO()
    with pa.parquet.ParquetWriter(file, groups[0].schema, **options) as writer:
        for group in groups:
            writer.write_table(group)
    return io.BytesIO(file.getvalue())


def peak_bytes(file: io.BytesIO) -> int:
    """What Arrow held at most while the file was read."""
    before, peak = pa.total_allocated_bytes(), 0
    for _ in read_parquet(file, wanted=None):
        peak = max(peak, pa.total_allocated_bytes() - before)
    return peak


def random_group(number: int) -> pa.Table:
    bodies = [np.random.default_rng(number * GROUP_ROWS + row).bytes(1_000).hex() for row in range(GROUP_ROWS)]
    return pa.table({"id": pa.array(range(GROUP_ROWS)), "body": pa.array(bodies)})


def test_a_file_of_many_row_groups_is_never_held_whole() -> None:
    file = stored(*(random_group(number) for number in range(6)), compression="none")
    assert len(file.getvalue()) > 40 * MB
    assert peak_bytes(file) < 30 * MB


def test_wide_rows_come_in_small_pieces_also_where_a_dictionary_hides_their_width() -> None:
    wide = pa.table({"body": pa.array(["x" * 4_000] * 50_000)})
    file = stored(wide)
    assert len(file.getvalue()) < MB
    blocks = [
        (block.lines[0], len(block.lines), block.columns["body"].nbytes) for block in read_parquet(file, wanted=None)
    ]
    assert sum(rows for _, rows, _ in blocks) == 50_000
    assert [int(first) for first, _, _ in blocks] == list(np.cumsum([1, *(rows for _, rows, _ in blocks[:-1])]))
    assert max(size for _, _, size in blocks) < 48 * MB


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_few_very_wide_values_of_a_dictionary_are_not_decoded_at_once(kind: pa.DataType, compression: str) -> None:
    texts = ["y" * (3 * MB), None, "z"] * 60
    file = stored(pa.table({"id": range(180), "body": pa.array(texts, kind)}), compression=compression)
    assert peak_bytes(file) < 48 * MB
    file.seek(0)
    bodies = pa.chunked_array([block.columns["body"] for block in read_parquet(file, wanted=None)])
    assert bodies.equals(pa.chunked_array([pa.array(texts, kind)]))


def test_row_groups_with_and_without_dictionaries_follow_each_other() -> None:
    shared = pa.table({"id": range(GROUP_ROWS), "body": ["x" * 4_000, "y"] * (GROUP_ROWS // 2)})
    groups = [shared, random_group(0), shared, shared]
    blocks = list(read_parquet(stored(*groups), wanted=None))
    assert pa.concat_tables(pa.table(dict(block.columns)) for block in blocks).equals(pa.concat_tables(groups))
    assert np.concatenate([block.lines for block in blocks]).tolist() == list(range(1, 4 * GROUP_ROWS + 1))


@pytest.mark.parametrize("wanted", [None, ["id"], ["b", "id"]])
def test_columns_are_those_asked_for_and_lines_go_on_across_row_groups(wanted: list[str] | None) -> None:
    file = stored(*(pa.table({"id": pa.array([n, n + 1]), "b": pa.array(["x", None])}) for n in (0, 2, 4)))
    blocks = list(read_parquet(file, wanted=wanted))
    assert [line for block in blocks for line in block.lines.tolist()] == [1, 2, 3, 4, 5, 6]
    assert [value for block in blocks for value in block.columns["id"].to_pylist()] == [0, 1, 2, 3, 4, 5]
    assert all(set(block.columns) == set(wanted or ["id", "b"]) for block in blocks)


def test_rows_of_which_no_column_is_wanted_are_still_counted() -> None:
    blocks = list(read_parquet(stored(pa.table({"id": pa.array([1, 2, 3])})), wanted=[]))
    assert [line for block in blocks for line in block.lines.tolist()] == [1, 2, 3]
