"""A session over a shelf, which has no log, and the warehouse in memory."""

from __future__ import annotations

from typing import Any

import attrs

from adapters.sources.polling.extractor import Extractor
from adapters.sources.polling.source import PollSource
from pipeline.application.session import Session
from pipeline.domain.stream import StreamSpec
from pipeline.ports.warehouse import target_of
from tests.support.rig import Rig
from tests.support.shelf import SPEC


@attrs.define
class PolledRig(Rig):
    """``session()`` wires a new source over ``extractor``."""

    extractor: Extractor = attrs.field(kw_only=True)
    streams: dict[str, StreamSpec] = attrs.field(factory=lambda: {"orders": SPEC})

    def session(self, *, warehouse: Any = None) -> Session:
        return attrs.evolve(Rig.session(self, warehouse=warehouse), source=PollSource(self.extractor))

    def changelog(self) -> list[dict[str, Any]]:
        """Every change of the stream that was loaded, in order."""
        state = self.warehouse.states("shop")["orders"]
        rows: list[dict[str, Any]] = self.warehouse.changelog(target_of(state)).to_pylist()
        return sorted(rows, key=lambda row: int(row["_cdc_sequence"]))
