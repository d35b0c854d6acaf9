"""Tells what of a run somebody should agree to first: what cannot be taken back, or costs the source dearly."""

from __future__ import annotations

from collections.abc import Collection

import attrs

from pipeline.application.session import Session
from pipeline.domain.errors import LogLost
from pipeline.domain.finding import Finding, Level
from pipeline.ports.source import Relation

#: How many bytes a row is taken for where a source tells a table's size but not its rows: few, so that more is asked
#: rather than less.
_ROW_BYTES = 100


@attrs.frozen
class Risks:
    """``gap`` is there if the source has lost log: going on means copying every stream again, with a gap in the
    changelogs. ``copies`` are streams with many rows that would be copied again.
    """

    gap: Finding | None = None
    copies: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, the gap first."""
        return (*((self.gap,) if self.gap else ()), *self.copies)


def risks(session: Session, *, resync: Collection[str] = (), large_count: int) -> Risks:
    """What a run that copies ``resync`` again risks; a stream is large from ``large_count`` rows on, by the source's
    own estimate, else by its size. One of which the source tells neither counts as large. Changes nothing.
    """
    gap = _gap(session)
    return Risks(gap, _copies(session, tuple(session.pipeline.streams) if gap else resync, large_count))


def _gap(session: Session) -> Finding | None:
    checkpoint = session.warehouse.checkpoint(session.group)
    if checkpoint is None:
        return None
    try:
        session.source.check(checkpoint)
    except LogLost as error:
        hint = "Agreeing copies all streams again; changes in between are in no changelog."
        return Finding(Level.WARNING, "gap", error.what, where=error.where, hint=hint)
    return None


def _copies(session: Session, streams: Collection[str], large_count: int) -> tuple[Finding, ...]:
    if not streams:
        return ()
    relations = {relation.name: relation for relation in session.source.discover()}
    found = []
    for spec in session.specs(streams):
        count = _row_count(relations.get(spec.relation))
        if count is None or count >= large_count:
            size = "an unknown number of" if count is None else f"about {count:,}"
            what = f"{size} rows of {spec.relation} are copied again"
            found.append(Finding(Level.WARNING, "copy", what, where=f"stream {spec.name}"))
    return tuple(found)


def _row_count(relation: Relation | None) -> int | None:
    """A guess at how many rows it has, None where the source tells nothing."""
    if relation is None:
        return None
    if relation.estimated_count is not None:
        return relation.estimated_count
    return None if relation.byte_count is None else -(-relation.byte_count // _ROW_BYTES)
