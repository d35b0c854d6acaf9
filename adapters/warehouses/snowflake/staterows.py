"""States as the rows of a file: which columns of which rows are to be taken from a base row, and from which.

What is done with them is told in ``modes``; how the file is read, in ``sql``.
"""

from __future__ import annotations

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.warehouses.changerows import labelled, unchanged_names
from adapters.warehouses.snowflake import sql
from adapters.warehouses.snowflake.files import FileColumn
from adapters.warehouses.snowflake.keyrange import KeyRange, key_range
from pipeline.domain.loading import BASE_KEY
from pipeline.domain.schema import StreamSchema
from pipeline.domain.unchanged import Unchanged
from pipeline.domain.valuetext import one_array


@attrs.frozen(eq=False)
class StateFile:
    """Rows for a file with its columns; ``taken`` are the names of columns that some rows take from a base row, and
    ``keys`` is the range of the rows' first key column, where one is known.
    """

    rows: pa.Table
    columns: tuple[FileColumn, ...]
    taken: tuple[str, ...]
    keys: KeyRange | None


def state_file(schema: StreamSchema, state: pa.Table) -> StateFile:
    """A state, which carries ``_cdc_load`` and ``_cdc_loaded_at``, as the rows of a file."""
    taken = tuple(unchanged_names(state))
    columns = sql.state_columns(schema, taken)
    arrays = labelled(state).select([*schema.names, *sql.STATE_METADATA]).columns
    if taken:
        unchanged = Unchanged.of(state)
        nothing = np.zeros(state.num_rows, bool)
        base = one_array(state[BASE_KEY])
        masks = (unchanged.mask(name) for name in taken)
        arrays += [pa.chunked_array([pa.array(nothing if mask is None else mask)]) for mask in masks]
        arrays += [pa.chunked_array([pc.struct_field(base, name)]) for name in schema.key]
    return StateFile(
        pa.table(arrays, names=[column.name for column in columns]), columns, taken, key_range(schema, state)
    )
