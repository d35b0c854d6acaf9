"""What readers of formats give: blocks of rows by column, each with its line, and lines that are no rows."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np
import pyarrow as pa

#: The line of a file that is bad as a whole.
WHOLE_FILE = 0
#: So many characters of a line that is no row are kept.
TEXT_CHARS = 1_000


@attrs.frozen
class BadLine:
    """A line that is no row: its number, its text as far as kept, and a phrase without values why not."""

    line: int
    text: str
    reason: str


@attrs.frozen(eq=False)
class Block:
    """Rows of one file. ``columns`` are those that the file has, by its names: texts still to be read as values, or
    values of the format's own types. ``lines`` are their numbers, rising. ``extra`` are JSON texts of what the sample
    did not show, one for each row.
    """

    columns: Mapping[str, pa.Array]
    lines: np.ndarray
    bad: tuple[BadLine, ...] = ()
    extra: pa.Array | None = None

    def behind(self, line: int) -> Block:
        """What of the block comes after a line."""
        after = self.lines > line
        mask = pa.array(after)
        return Block(
            {name: values.filter(mask) for name, values in self.columns.items()},
            self.lines[after],
            tuple(bad for bad in self.bad if bad.line > line or bad.line == WHOLE_FILE),
            None if self.extra is None else self.extra.filter(mask),
        )
