"""The errors of the product: each says what happened, where, and what to do next.

How an error is rendered or logged is decided in entrypoints; the table at the end maps each kind to an exit code and
to whether trying again can help.
"""

from __future__ import annotations

from enum import Enum


class ErrorKind(Enum):
    """What the caller does next with an error."""

    FAILURE = "failure"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"


EXIT_CODES: dict[ErrorKind, int] = {ErrorKind.FAILURE: 1, ErrorKind.REJECTED: 2, ErrorKind.UNREACHABLE: 3}
RETRIES: dict[ErrorKind, bool] = {ErrorKind.FAILURE: False, ErrorKind.REJECTED: False, ErrorKind.UNREACHABLE: True}


class PipelineError(Exception):
    """Base of all errors that a person may see.

    ``what`` is one sentence without row values or secrets (P10); ``where`` names the file, stream, table or server;
    ``hint`` is the one thing to do next; ``facts`` carries machine-readable details (error class, SQLSTATE, counts).
    """

    kind = ErrorKind.FAILURE

    def __init__(self, what: str, *, where: str = "", hint: str = "", **facts: object) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.facts = facts

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"

    @property
    def exit_code(self) -> int:
        """The process exit status: 1 failure, 2 rejected input, 3 system unreachable."""
        return EXIT_CODES[self.kind]

    @property
    def retries(self) -> bool:
        """Whether the same call may succeed later without anybody changing anything."""
        return RETRIES[self.kind]


class ConfigError(PipelineError):
    """A configuration file, environment variable or command-line argument is not usable."""

    kind = ErrorKind.REJECTED


class SourceError(PipelineError):
    """The source answered with something that the pipeline cannot go on from."""


class SourceUnreachable(PipelineError):
    """The source could not be reached, or the connection was lost."""

    kind = ErrorKind.UNREACHABLE


class SourceRejected(PipelineError):
    """The source is reachable but not set up for what the pipeline asks (a setting, grant, key or slot)."""

    kind = ErrorKind.REJECTED


class LogLost(SourceRejected):
    """The source no longer holds the log from the checkpoint on: the slot is missing, invalidated, ahead, or the
    server is older than the checkpoint. Nothing may be loaded until streams are copied again.
    """


class WarehouseError(PipelineError):
    """The warehouse refused or failed a statement."""


class WarehouseRejected(WarehouseError):
    """The warehouse is reachable but not set up for what the pipeline asks (a credential, grant or setting)."""

    kind = ErrorKind.REJECTED


class WarehouseUnreachable(PipelineError):
    """The warehouse could not be reached, or its file stayed locked by another process past the time allowed."""

    kind = ErrorKind.UNREACHABLE


class Fenced(PipelineError):
    """Another writer moved the checkpoint: this one is stale and must stop without writing (P4)."""


class SchemaRefused(PipelineError):
    """A schema change that the contract, or the warehouse, does not allow."""

    kind = ErrorKind.REJECTED


class ContractBroken(PipelineError):
    """A row broke a rule whose severity is ``stop``."""

    kind = ErrorKind.REJECTED


class CommitUnknown(PipelineError):
    """The connection was lost during COMMIT; the checkpoint tells whether the load happened."""

    kind = ErrorKind.UNREACHABLE


class TransformFailed(PipelineError):
    """dbt reported failing models or tests; the previous marts are still in place."""


class Differs(PipelineError):
    """Verification found rows that differ between source and warehouse."""


class Missing(PipelineError):
    """An optional part is not installed; the hint names the extra to install."""

    kind = ErrorKind.REJECTED
