"""Whether what is configured for a stream fits the columns that it has: its contract, its masks, its mode.

A rule or a mask of a column that is not there would silently do nothing, so nothing may be copied with one.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.application.session import Session
from pipeline.domain.checkpoint import StreamState
from pipeline.domain.errors import ConfigError
from pipeline.domain.finding import Finding, Level
from pipeline.domain.processing import check_masks, processed_schema
from pipeline.domain.schema import StreamSchema
from pipeline.domain.stream import Mode, StreamSpec
from pipeline.domain.validation import check_contract


def configuration_findings(
    spec: StreamSpec, schema: StreamSchema, *, state: StreamState | None = None
) -> tuple[Finding, ...]:
    """What is wrong between a stream's configuration and ``schema``, its source's.

    A column that the warehouse still has (``state``) may be named, although the source has dropped it.
    """
    where = f"stream {spec.name}"
    schema = _with_dropped(schema, state)
    found = []
    try:
        check_masks(schema, spec.masks)
    except ConfigError as error:
        found.append(Finding.of(error, "masks", where=where))
    else:
        schema = processed_schema(schema, spec.masks)
    found += [
        Finding(Level.ERROR, "contract", problem, where=where, hint="Correct the contract.")
        for problem in check_contract(spec.contract, schema)
    ]
    if not schema.key and spec.mode is not Mode.APPEND:
        found.append(
            Finding(
                Level.ERROR,
                "key",
                f"{spec.relation} has no key, so its rows cannot be told apart in mode {spec.mode.value}",
                where=where,
                hint="Give the table a primary key, or set the stream's mode to append.",
            )
        )
    return tuple(found)


def refuse_unfit(session: Session, states: Mapping[str, StreamState]) -> None:
    """Raise ``ConfigError``, naming everything that is wrong, before anything is made or moved."""
    schemas = session.source.schemas(session.specs())
    found = [
        finding
        for spec in session.specs()
        for finding in configuration_findings(spec, schemas[spec.name], state=states.get(spec.name))
    ]
    if found:
        raise ConfigError(
            "; ".join(f"{finding.where}: {finding.what.rstrip('.')}" for finding in found),
            where=f"pipeline {session.pipeline.name}",
            hint=found[0].hint,
        )


def _with_dropped(schema: StreamSchema, state: StreamState | None) -> StreamSchema:
    if state is None:
        return schema
    dropped = [column for column in state.schema.columns if column.name not in schema.names]
    return schema.with_columns([*schema.columns, *dropped])
