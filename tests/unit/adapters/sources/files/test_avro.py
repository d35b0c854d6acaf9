"""Avro is read in pieces that do not grow with the width of its rows (P11)."""

from __future__ import annotations

import io
from itertools import pairwise

import fastavro
import pytest

from adapters.sources.files.avro import read_avro

SCHEMA = {
    "type": "record",
    "name": "row",
    "fields": [{"name": "id", "type": "long"}, {"name": "body", "type": "string"}],
}


@pytest.mark.parametrize("width", [1, 2_000])
def test_a_piece_has_as_many_rows_as_fit(width: int) -> None:
    file = io.BytesIO()
    fastavro.writer(file, SCHEMA, ({"id": n, "body": "x" * width} for n in range(30_000)))
    file.seek(0)
    blocks = list(read_avro(file, wanted=None))
    assert [line for block in blocks for line in block.lines.tolist()] == list(range(1, 30_001))
    assert max(block.columns["body"].nbytes for block in blocks) < 12 * 1024 * 1024
    assert len(blocks) == 3 if width == 1 else len(blocks) > 5
    assert all(before.lines[-1] + 1 == after.lines[0] for before, after in pairwise(blocks))
