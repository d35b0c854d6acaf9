"""Whether a look can go on from what the looks before it remembered.

What it then finds is ``look``'s to say.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapters.sources.polling.extractor import Extraction, Kind
from pipeline.domain.errors import SourceRejected
from pipeline.domain.schema import StreamSchema

#: Bookmarks of the core's own begin so; extractors do not see them.
OURS = "look:"
#: Whether all rows that there are were remembered, so that those that are gone can be told.
KNOWS = f"{OURS}knows"
#: The columns that the cursor goes by.
CURSOR_COLUMNS = f"{OURS}cursor"
#: What a replacement held.
CONTENT = f"{OURS}content"


def is_remembered(extraction: Extraction) -> bool:
    """Whether all rows that there are, are known after it."""
    return extraction.remembers or extraction.kind is Kind.IMAGE or extraction.all_keys is not None


def refuse_unfit(extraction: Extraction, schema: StreamSchema, kept: Mapping[str, str], *, where: str) -> None:
    """Raise ``SourceRejected`` where rows could be lost or deleted wrongly, with what the looks before have left."""
    if is_remembered(extraction) and not schema.key:
        raise SourceRejected(
            "the stream has no key, so that a row that is gone, or changed, could not be named",
            where=where,
            hint="Name its key columns, or let the whole stream be replaced by each look.",
            case="no_key",
        )
    finds_gone = extraction.kind is Kind.IMAGE or extraction.all_keys is not None
    if finds_gone and kept.get(KNOWS) == "some":
        raise SourceRejected(
            "rows that are gone are to be found, but the looks before did not remember all rows that they showed",
            where=where,
            hint="How the stream is read was changed: copy it again by resync.",
            case="unknown_rows",
        )
    if extraction.window is None or extraction.window.is_anew or CURSOR_COLUMNS not in kept:
        return
    columns = ",".join(extraction.window.columns)
    if kept[CURSOR_COLUMNS] != columns:
        raise SourceRejected(
            f"the cursor was {kept[CURSOR_COLUMNS]} and is now {columns}: where to go on by it is not known",
            where=where,
            hint="Copy the stream again by resync, or set the cursor back.",
            case="cursor",
        )
