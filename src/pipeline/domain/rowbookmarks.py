"""Known rows as bookmarks: the name is the fingerprint of a row's key, the value that of the whole row and the key
itself, so that a row that is gone can still be named.

What is done with them is ``detection``'s.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.bookmarks import BOOKMARK_SCHEMA
from pipeline.domain.canonical import decode_rows
from pipeline.domain.change import UNCHANGED
from pipeline.domain.errors import SourceRejected
from pipeline.domain.fingerprint import Halves, halves_of, hexadecimal
from pipeline.domain.fingerprintorder import NONE, is_last_of_equals, joined
from pipeline.domain.schema import StreamSchema
from pipeline.domain.valuetext import TEXT, one_array

#: What the names of remembered rows begin with.
ROW = "row:"
#: Texts are made and read so many rows at a time, which Arrow's short offsets can hold.
CHUNK_ROWS = 1_000_000

_DIGITS = 32
#: Keys are decoded so many at a time, since each becomes objects meanwhile.
_DECODED_ROWS = 100_000


def rows_of(kept: pa.Table) -> tuple[Halves, Halves, pa.ChunkedArray]:
    """The rows among bookmarks: fingerprints of their keys and of themselves, and their keys (text)."""
    hashes, prints, keys = [NONE], [NONE], [pa.array([], TEXT)]
    for batch in kept.filter(pc.starts_with(kept["name"], pattern=ROW)).to_batches(max_chunksize=CHUNK_ROWS):
        values = batch["value"].cast(pa.large_binary())
        hashes.append(halves_of(batch["name"], skipped=len(ROW)))
        prints.append(halves_of(pc.binary_slice(values, 0, _DIGITS).cast(TEXT)))
        keys.append(pc.binary_replace_slice(values, 0, _DIGITS, b"").cast(TEXT))
    return joined(hashes), joined(prints), pa.chunked_array(keys, TEXT)


def remembered_rows(hashes: Halves, prints: Halves, keys: pa.Array) -> pa.Table:
    """What remembers rows with these keys (text); of a key given more than once the last."""
    last = is_last_of_equals(hashes)
    if not last.all():
        hashes, prints, keys = hashes[:, last], prints[:, last], keys.filter(pa.array(last))
    values = pc.binary_join_element_wise(hexadecimal(prints), keys.cast(pa.string()), "")
    return pa.table([_names(hashes), values], schema=BOOKMARK_SCHEMA)


def forgotten_rows(hashes: Halves) -> pa.Table:
    """What forgets the rows with keys of these fingerprints."""
    names = _names(hashes)
    return pa.table([names, pa.nulls(len(names), pa.string())], schema=BOOKMARK_SCHEMA)


def decoded_keys(texts: pa.ChunkedArray, schema: StreamSchema) -> pa.Table:
    """The key columns of keys in canonical JSON; keys with a null name no row and are left out.

    Raises ``SourceRejected`` for keys of other columns, or of rows that were remembered without them.
    """
    only_key = StreamSchema(tuple(schema.column(name) for name in schema.key))
    tables = [only_key.arrow().empty_table()]
    for batch in texts.chunks:
        for start in range(0, len(batch), _DECODED_ROWS):
            decoded = decode_rows(only_key, batch.slice(start, _DECODED_ROWS).to_pylist()).table
            if decoded[UNCHANGED].null_count < decoded.num_rows:
                raise SourceRejected(
                    "rows are gone whose keys were remembered under other columns, so that they cannot be named",
                    hint="The key was changed, or how the stream is read: copy it again by resync.",
                    case="key",
                )
            tables.append(decoded.select(schema.key))
    keys = pa.concat_tables(tables)
    return keys.filter(pa.array(~has_null_key(keys, schema)))


def has_null_key(table: pa.Table, schema: StreamSchema) -> np.ndarray:
    """Which rows have a null in their key, so that it names none of them (a mask)."""
    mask = np.zeros(table.num_rows, dtype=bool)
    for name in schema.key:
        if table[name].null_count:
            mask |= one_array(table[name].is_null()).to_numpy(zero_copy_only=False)
    return mask


def _names(hashes: Halves) -> pa.Array:
    return hexadecimal(hashes, prefix=ROW.encode())
