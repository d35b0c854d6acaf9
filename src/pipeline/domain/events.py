"""What happened while a pipeline ran, as values: for logs, metrics, progress displays and alerts. No row values."""

from __future__ import annotations

from datetime import datetime

import attrs

from pipeline.domain.counts import StreamCounts


@attrs.frozen
class CopyStarted:
    """A stream's snapshot begins; ``estimated_count`` is the source's guess of its rows, None if it has none."""

    stream: str
    estimated_count: int | None


@attrs.frozen
class CopyAdvanced:
    """``row_count`` rows of a stream's snapshot are read so far."""

    stream: str
    row_count: int


@attrs.frozen
class CopyFinished:
    """A stream's snapshot is committed in the warehouse; ``quarantined_count`` of its rows were set apart."""

    stream: str
    row_count: int
    seconds: float
    quarantined_count: int = 0


@attrs.frozen
class BatchApplied:
    """A batch is committed in the warehouse; commit times and ``at`` are UTC."""

    group: str
    load: int
    counts: dict[str, StreamCounts]
    transaction_count: int
    byte_count: int
    first_commit_at: datetime | None
    last_commit_at: datetime | None
    at: datetime
    seconds: float


@attrs.frozen
class IdleCheckpoint:
    """The position moved without a change of any stream."""

    group: str
    at: datetime


@attrs.frozen
class SchemaChanged:
    """A stream's tables were migrated; ``changes`` are phrases without values."""

    stream: str
    schema_version: int
    changes: tuple[str, ...]


@attrs.frozen
class TransformFinished:
    """dbt ran; ``error`` is a phrase, None on success."""

    models: int
    tests: int
    seconds: float
    error: str | None = None


@attrs.frozen
class Retrying:
    """A system was unreachable; the next attempt follows after ``delay_s`` seconds."""

    system: str
    attempt: int
    delay_s: float
    error: str


Event = (
    CopyStarted
    | CopyAdvanced
    | CopyFinished
    | BatchApplied
    | IdleCheckpoint
    | SchemaChanged
    | TransformFinished
    | Retrying
)
