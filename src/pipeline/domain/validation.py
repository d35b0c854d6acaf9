"""A batch judged by its stream's contract: which rows are fine, which broke what, and when to stop.

How one rule finds broken rows is ``rules``'; what later rows of the same keys do is ``holding``'s.

Rules look at values about to be loaded: not at deletes and truncates, nor at columns that an update left unchanged.
A value that its type cannot hold (a misfit) is treated as ``on_misfit`` says: its row is quarantined, or the value
becomes null and is judged as null; of a key it is always quarantined, of a delete's other columns it is dropped, as
they are not loaded. So is a value of a delete that is larger than the warehouse takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.domain.change import OP, ChangeBatch, Misfit, Operation
from pipeline.domain.contract import Contract, OnMisfit, Severity
from pipeline.domain.errors import ConfigError, ContractBroken
from pipeline.domain.holding import without
from pipeline.domain.limits import UNLIMITED, ValueLimits, inexact_rows, oversize_rows
from pipeline.domain.quarantined import quarantine_rows
from pipeline.domain.rules import broken_rows, problems_of
from pipeline.domain.schema import StreamSchema
from pipeline.domain.unchanged import Unchanged

REASONS_TYPE = pa.list_(pa.string())


@attrs.frozen(eq=False)
class Assessment:
    """What is wrong in a batch: the numbers of the ``broken`` rows, rising, with a list of ``reasons`` for each.

    ``closing`` are the numbers of the deletes that only close what waits under a name.

    ``table`` is the batch's, less the values of deletes that cannot be loaded. ``warned`` and ``misfit_counts`` give
    rows per rule label and per column, ``warned_count`` and ``misfit_count`` the rows that have any.
    """

    table: pa.Table
    broken: np.ndarray
    closing: np.ndarray
    reasons: pa.ListArray
    warned: dict[str, int]
    misfit_counts: dict[str, int]
    warned_count: int = 0
    misfit_count: int = 0


@attrs.frozen(eq=False)
class Validated:
    """A batch after validation; ``passed`` and ``quarantined`` together are the rows that came in, in order."""

    passed: pa.Table
    quarantined: pa.Table
    warned: dict[str, int]
    misfit_counts: dict[str, int]
    quarantined_reasons: dict[str, int]


@attrs.frozen(eq=False)
class _Breach:
    """Rows (rising numbers) that broke one thing."""

    label: str
    severity: Severity
    rows: np.ndarray


def validate(batch: ChangeBatch, contract: Contract, *, limits: ValueLimits = UNLIMITED) -> Validated:
    """Set the broken rows of a batch apart. See ``assess`` for what is raised.

    A value beyond the warehouse's ``limits`` quarantines its row with the reason ``size(column)``, or, for a number in
    a JSON document that has too many digits, ``digits(column)``.
    """
    found = assess(batch, contract, limits=limits)
    quarantined = quarantine_rows(
        found.table,
        batch.schema,
        found.broken,
        reasons=found.reasons,
        contract_version=contract.version,
        misfits=batch.misfits,
        max_bytes=limits.text_bytes,
    )
    passed = without(found.table, np.append(found.broken, found.closing))
    return Validated(passed, quarantined, found.warned, found.misfit_counts, reason_counts(found.reasons))


def assess(batch: ChangeBatch, contract: Contract, *, limits: ValueLimits = UNLIMITED) -> Assessment:
    """Find the broken rows of a batch.

    Raises ``ContractBroken``, naming stream, rules and numbers of rows, when a row broke something that the contract
    stops at; ``ConfigError`` when a rule cannot be judged.
    """
    ops = np.asarray(batch.table[OP])
    given = (ops != Operation.DELETE) & (ops != Operation.TRUNCATE)
    breaches = [*_misfit_breaches(batch, contract, given), *_rule_breaches(batch, contract, given)]
    table, large = _without_oversize(batch, given, limits)
    breaches += large
    _stop(batch.stream, [breach for breach in breaches if breach.severity is Severity.STOP])
    warnings = [breach for breach in breaches if breach.severity is Severity.WARN]
    broken, reasons = _reasons([breach for breach in breaches if breach.severity is Severity.QUARANTINE])
    misfit_rows = [_rows_of(misfit, given) for misfit in batch.misfits]
    misfit_counts: Counter[str] = Counter()
    for misfit, rows in zip(batch.misfits, misfit_rows, strict=True):
        misfit_counts[misfit.column] += len(rows)
    named = [misfit.rows.to_numpy(zero_copy_only=False) for misfit in batch.misfits if misfit.names is not None]
    closing = np.unique(np.concatenate(named)) if named else np.empty(0, np.int64)
    return Assessment(
        table,
        broken,
        closing[~given[closing]],
        reasons,
        warned=dict(sum((Counter({breach.label: len(breach.rows)}) for breach in warnings), Counter())),
        misfit_counts=dict(misfit_counts),
        warned_count=_row_count([breach.rows for breach in warnings]),
        misfit_count=_row_count(misfit_rows),
    )


def check_contract(contract: Contract, schema: StreamSchema) -> list[str]:
    """Everything that is wrong with a contract over a stream of this schema, a phrase each; empty if nothing is."""
    labels = Counter(rule.label for rule in contract.rules)
    twice = [f"{label}: {count} rules have this name" for label, count in labels.items() if count > 1]
    return [problem for rule in contract.rules for problem in problems_of(rule, schema)] + twice


def reason_counts(reasons: pa.Array) -> dict[str, int]:
    """How many rows have each reason."""
    counts = pc.value_counts(pc.list_flatten(reasons))
    return {item["values"]: item["counts"] for item in counts.to_pylist()}


def _misfit_breaches(batch: ChangeBatch, contract: Contract, given: np.ndarray) -> Iterator[_Breach]:
    for misfit in batch.misfits:
        rows = np.unique(_rows_of(misfit, given))
        is_key = misfit.column in batch.schema.key
        if not is_key:
            rows = rows[given[rows]]
        policy = contract.on_misfit
        if policy is OnMisfit.STOP:
            severity = Severity.STOP
        elif policy is OnMisfit.QUARANTINE or is_key:
            severity = Severity.QUARANTINE
        else:
            continue
        if len(rows):
            yield _Breach(f"misfit({misfit.column}): {misfit.reason}", severity, rows)


def _rows_of(misfit: Misfit, given: np.ndarray) -> np.ndarray:
    """The rows of a misfit, less deletes that have a name."""
    rows: np.ndarray = misfit.rows.to_numpy(zero_copy_only=False)
    return rows if misfit.names is None else rows[given[rows]]


def _rule_breaches(batch: ChangeBatch, contract: Contract, given: np.ndarray) -> Iterator[_Breach]:
    unchanged = Unchanged.of(batch.table)
    for rule in contract.rules:
        try:
            mask = broken_rows(rule, batch)
        except ValueError as error:
            raise ConfigError(
                f"The rule {rule.label} cannot be judged: {error}.",
                where=f"contract of stream {batch.stream}",
                hint="Correct the rule; doctor lists everything that is wrong with a contract.",
            ) from None
        if mask is None:
            continue
        mask = mask & given
        for name in rule.columns:
            mask = _unless(mask, unchanged.mask(name))
            if contract.on_misfit is not OnMisfit.NULL or name in batch.schema.key:
                mask = _unless(mask, _misfit_mask(batch, name))
        if mask.any():
            yield _Breach(rule.label, rule.severity, np.flatnonzero(mask))


def _without_oversize(batch: ChangeBatch, given: np.ndarray, limits: ValueLimits) -> tuple[pa.Table, list[_Breach]]:
    table, breaches = batch.table, []
    for number, column in enumerate(batch.schema.columns):
        masks = {"size": oversize_rows(table[column.name], limits)}
        if column.json:
            masks["digits"] = inexact_rows(table[column.name], limits)
        for reason, mask in masks.items():
            if mask is None:
                continue
            needed = mask if column.name in batch.schema.key else mask & given
            if needed.any():
                breaches.append(_Breach(f"{reason}({column.name})", Severity.QUARANTINE, np.flatnonzero(needed)))
            if (mask & ~needed).any():
                kind = table[column.name].type
                emptied = pc.if_else(pa.array(mask & ~needed), pa.scalar(None, kind), table[column.name])
                table = table.set_column(number, pa.field(column.name, kind), emptied)
    return table, breaches


def _stop(stream: str, breaches: list[_Breach]) -> None:
    if not breaches:
        return
    counts: Counter[str] = Counter()
    for breach in breaches:
        counts[breach.label] += len(breach.rows)
    told = ", ".join(f"{label} by {count} row{'' if count == 1 else 's'}" for label, count in counts.items())
    raise ContractBroken(
        f"The contract is broken and says stop: {told}.",
        where=f"stream {stream}",
        hint="Nothing of the batch was loaded. Mend the rows at the source, or change the severity of the rule.",
        stream=stream,
        rules=dict(counts),
    )


def _reasons(breaches: list[_Breach]) -> tuple[np.ndarray, pa.ListArray]:
    """The broken rows, rising, and for each the labels of what it broke, in the order of the breaches."""
    if not breaches:
        return np.empty(0, np.int64), pa.array([], REASONS_TYPE)
    rows = np.concatenate([breach.rows for breach in breaches])
    labels = np.repeat(np.arange(len(breaches)), [len(breach.rows) for breach in breaches])
    order = np.lexsort((labels, rows))
    broken, starts = np.unique(rows[order], return_index=True)
    names = pa.array([breach.label for breach in breaches], pa.string()).take(pa.array(labels[order]))
    offsets = pa.array(np.append(starts, len(rows)), pa.int32())
    return broken, pa.ListArray.from_arrays(offsets, names)


def _unless(mask: np.ndarray, other: np.ndarray | None) -> np.ndarray:
    return mask if other is None else mask & ~other


def _misfit_mask(batch: ChangeBatch, column: str) -> np.ndarray | None:
    rows = [misfit.rows.to_numpy(zero_copy_only=False) for misfit in batch.misfits if misfit.column == column]
    if not rows:
        return None
    mask = np.zeros(batch.row_count, dtype=bool)
    mask[np.concatenate(rows)] = True
    return mask


def _row_count(rows: list[np.ndarray]) -> int:
    return len(np.unique(np.concatenate(rows))) if rows else 0
