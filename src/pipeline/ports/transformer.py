"""The port to the transformation tool that builds marts from staging tables."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import attrs

from pipeline.domain.finding import Finding


@attrs.frozen
class NodeResult:
    """The outcome of one model, seed, snapshot or test: ``status`` is success, error, skipped, pass, warn or fail."""

    name: str
    kind: str
    status: str
    seconds: float
    rows: int | None = None
    message: str = ""


@attrs.frozen
class TransformResult:
    """What one invocation did, read from the tool's own artifacts."""

    nodes: tuple[NodeResult, ...]
    seconds: float

    @property
    def failed(self) -> tuple[NodeResult, ...]:
        """The nodes that errored or failed a test."""
        return tuple(node for node in self.nodes if node.status in {"error", "fail"})


class Transformer(Protocol):
    """Builds and tests marts. Called after loads, by one thread at a time, never while a load transaction is open."""

    def warm(self) -> None:
        """Pay start-up costs now, in the background, so that the next ``build`` is quick. Never raises."""
        ...

    def build(
        self, tables: Collection[str] | None = None, *, absent: Collection[str] = (), full_refresh: bool = False
    ) -> TransformResult:
        """Build and test everything downstream of these staging tables (None: everything selected by the pipeline), but
        nothing that is downstream of the ``absent`` ones.

        On return every mart is either built and tested or as it was before. Failing models or tests are in the
        result, not raised. Raises ``TransformFailed`` when the tool itself could not run (project, profile or
        connection broken), ``Missing`` when it is not installed.
        """
        ...

    def inspect(self) -> tuple[Finding, ...]:
        """Check project and connection without changing anything."""
        ...

    def close(self) -> None:
        """Stop what ``warm`` started. Safe to call twice."""
        ...
