"""What an adapter of a source without a log has to know: how its streams are read. All else is ``polling``'s.

Positions, sequences, batches, fingerprints and deletes are never an extractor's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Protocol, runtime_checkable

import attrs
import pyarrow as pa

from pipeline.domain.change import Misfit
from pipeline.domain.finding import Finding
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import StreamSpec
from pipeline.ports.source import Relation


class Kind(Enum):
    """What the rows of an extraction are.

    ``CHANGES``: rows that are new or changed since the bookmarks; what is not among them stays as it is.
    ``IMAGE``: all rows that there are; those that are new, changed or gone are found by comparing.
    ``REPLACEMENT``: all rows that there are, loaded in place of those before; nothing is compared.
    """

    CHANGES = "changes"
    IMAGE = "image"
    REPLACEMENT = "replacement"


@attrs.frozen(eq=False)
class Rows:
    """A piece of an extraction: ``table`` has the data columns of the stream's schema, in order.

    ``misfits`` as in ``ChangeBatch``. ``deleted`` are keys (key columns) of rows that the source says are gone,
    with the columns of the cursor where there is a window.
    ``mended`` are names (see ``Misfit``) of rows set apart before that are no more; never given with a window.
    ``bookmarks`` are to be remembered once these rows are loaded. ``byte_count`` is what was read of the source.
    """

    table: pa.Table
    misfits: tuple[Misfit, ...] = ()
    deleted: pa.Table | None = None
    mended: pa.StringArray | None = None
    bookmarks: Mapping[str, str | None] = attrs.field(factory=dict)
    byte_count: int = 0


@attrs.frozen(eq=False)
class Window:
    """The cursor column of ``CHANGES``, and by how much each look reaches back before the highest value of the last:
    rows committed late with an early cursor are found, and those seen before are told apart by their fingerprints.

    ``overlap`` is what may be subtracted from the column's values; None reaches back to the highest value itself, whose
    ties are not lost. ``is_ordered``: rows come in the order of the cursor, so that a look that is broken off need not
    begin anew. ``before`` are the columns that come before ``column`` in the order of a cursor of several columns.

    ``ceiling`` is what no value of the cursor's first column can rightly exceed (the source's clock): rows above it are
    taken, but a look never begins above it, so that a date of the year 9999 hides nothing. ``is_anew``: this look began
    at the lowest value, whatever was read before.

    Rows whose cursor is null are to be shown by every look; their fingerprints tell them apart as well.
    """

    column: str
    overlap: pa.Scalar | None = None
    is_ordered: bool = False
    before: tuple[str, ...] = ()
    ceiling: pa.Scalar | None = None
    is_anew: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the cursor that say where a look begins, in order."""
        return (*self.before, self.column)


@attrs.frozen(eq=False)
class Extraction:
    """One reading of a stream. ``rows`` are read lazily, and an error among them ends the look: nothing that was not
    read is taken for gone.

    ``all_keys`` reads the keys of all rows that there are, for deletes where rows themselves come as ``CHANGES``;
    ``compared`` are bookmarks to be remembered once what is gone was found, by these keys or by an ``IMAGE``: asked for
    behind all rows, so that they may be made while these are read. ``remembers`` asks that
    all rows be remembered, since a later extraction compares the keys; where this one does, that goes without saying.
    Of a ``REPLACEMENT`` it asks that its rows, and none before them, be what later images are compared with.

    ``shifts``: rows or keys come in pages that move while the source is written to, so that one reading may leave rows
    out; what an image or a listing did not show is then looked for once more before it is taken for gone.
    """

    kind: Kind
    rows: Iterator[Rows]
    window: Window | None = None
    all_keys: Callable[[], Iterator[pa.Table]] | None = None
    compared: Mapping[str, str | None] = attrs.field(factory=dict)
    remembers: bool = False
    shifts: bool = False


class Extractor(Protocol):
    """Reads one system. Built without connecting; connects on first use.

    All methods may raise ``SourceUnreachable`` (retry helps), ``SourceRejected`` (someone has to change something) and
    ``SourceError`` (it answered with something that cannot be gone on from). None of their texts has row values (P10).
    """

    @property
    def name(self) -> str:
        """The source's name, for messages."""
        ...

    @property
    def poll_s(self) -> float:
        """How many seconds lie between two looks of a long run."""
        ...

    def discover(self) -> tuple[Relation, ...]:
        """What could be streams, as far as the system tells."""
        ...

    def inspect(self, stream: StreamSpec) -> tuple[Finding, ...]:
        """What would stop or harm reading the stream, and what is fine, without changing anything."""
        ...

    def schema(self, stream: StreamSpec) -> StreamSchema:
        """The stream's columns and key as they are now; what ``extract`` delivers in this look has exactly these."""
        ...

    def estimate(self, stream: StreamSpec) -> int | None:
        """A quick guess of the stream's rows, for progress only."""
        ...

    def has_unique_keys(self, stream: StreamSpec) -> bool:
        """Whether one extraction never gives a key twice."""
        ...

    def max_vanished(self, stream: StreamSpec) -> float:
        """Which share of the known rows may be gone at once; more are taken for a fault of the source."""
        ...

    def extract(
        self, stream: StreamSpec, schema: StreamSchema, bookmarks: Mapping[str, str], *, limit: int | None = None
    ) -> Extraction:
        """Read what the ``bookmarks`` ask for; with none, everything. No more than about ``limit`` rows are wanted.

        Beside its own, ``bookmarks`` has ``cursor`` and ``since`` where the last extraction had a window: the JSON
        literals of the highest value of its column, and of where this look has to begin. Of a cursor of several columns
        they are JSON arrays of literals; that of ``since`` may be shorter: later columns may have any value then.
        """
        ...

    def mark(self, stream: StreamSpec) -> str | None:
        """A short text that changes when the stream's rows do, got cheaply; None if there is no such thing."""
        ...

    def close(self) -> None:
        """Close all connections. Safe to call twice."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """An extractor whose schemas build on what it saw before, as guessed columns do."""

    def schema_since(self, stream: StreamSpec, bookmarks: Mapping[str, str]) -> StreamSchema:
        """As ``schema``, where the last look left these bookmarks; ``extract`` is called next, with the same."""
        ...


def schema_of(extractor: Extractor, stream: StreamSpec, bookmarks: Mapping[str, str]) -> StreamSchema:
    """The stream's schema for a look that begins at ``bookmarks``."""
    if isinstance(extractor, Remembering):
        return extractor.schema_since(stream, bookmarks)
    return extractor.schema(stream)
