"""The stages from validation to quarantine in one: what of a batch passes, what waits, and what is settled.

Finding broken rows is ``validation``'s, what waits behind them ``holding``'s, and writing rows down ``quarantined``'s,
whose words are offered here too.
"""

from __future__ import annotations

import attrs
import numpy as np
import pyarrow as pa

from pipeline.domain.change import ChangeBatch
from pipeline.domain.contract import Contract
from pipeline.domain.counts import StreamCounts
from pipeline.domain.holding import REASON_BEHIND, Held, follow, hold, without
from pipeline.domain.limits import UNLIMITED, ValueLimits
from pipeline.domain.quarantined import (
    QUARANTINE_SCHEMA,
    SETTLED_SCHEMA,
    STATUS_CLOSED,
    STATUS_DISCARDED,
    STATUS_RELEASED,
    STATUS_SUPERSEDED,
    STATUS_WAITING,
    Releasable,
    Waiting,
    quarantine_rows,
    releasable,
    released_batch,
)
from pipeline.domain.validation import REASONS_TYPE, assess, reason_counts

__all__ = [
    "QUARANTINE_SCHEMA",
    "REASON_BEHIND",
    "SETTLED_SCHEMA",
    "STATUS_CLOSED",
    "STATUS_DISCARDED",
    "STATUS_RELEASED",
    "STATUS_SUPERSEDED",
    "STATUS_WAITING",
    "Held",
    "Judged",
    "Releasable",
    "Waiting",
    "hold",
    "judge",
    "releasable",
    "released_batch",
]


@attrs.frozen(eq=False)
class Judged:
    """A batch after judgement: ``passed`` and ``quarantined`` together are its rows, each in their order (P3), but for
    deletes that only close what waits under a name, which are counted as discarded.

    ``quarantined`` is to be stored before ``settled`` is carried out, as rows of this batch may settle each other.
    ``waiting`` are the keys that wait afterwards. ``counts`` has what was read, quarantined, warned of and misfit;
    the dictionaries tell rows by rule label, column and reason.
    """

    passed: pa.Table
    quarantined: pa.Table
    settled: pa.Table
    waiting: Waiting
    counts: StreamCounts
    warned: dict[str, int]
    misfit_counts: dict[str, int]
    quarantined_reasons: dict[str, int]


def judge(batch: ChangeBatch, contract: Contract, waiting: Waiting, *, limits: ValueLimits = UNLIMITED) -> Judged:
    """Validate a batch and let its rows wait behind, overtake or close quarantined ones, in the order of the log.

    ``waiting`` are the keys that wait before the batch, ``limits`` the warehouse's. Raises as ``validation.assess``
    does.
    """
    found = assess(batch, contract, limits=limits)
    fates = follow(found.table, batch.schema, waiting, broken=found.broken, misfits=batch.misfits)
    behind = pa.array([[REASON_BEHIND]] * len(fates.behind), REASONS_TYPE)
    apart = np.concatenate([found.broken, fates.behind])
    order = np.argsort(apart)
    reasons = pa.concat_arrays([found.reasons, behind]).take(pa.array(order))
    quarantined = quarantine_rows(
        found.table,
        batch.schema,
        apart[order],
        reasons=reasons,
        contract_version=contract.version,
        misfits=batch.misfits,
        max_bytes=limits.text_bytes,
    )
    counts = StreamCounts(
        read_count=batch.row_count,
        quarantined_count=len(apart),
        discarded_count=len(found.closing),
        warned_count=found.warned_count,
        misfit_count=found.misfit_count,
    )
    return Judged(
        passed=without(found.table, np.append(apart, found.closing)),
        quarantined=quarantined,
        settled=fates.settled,
        waiting=fates.waiting,
        counts=counts,
        warned=found.warned,
        misfit_counts=found.misfit_counts,
        quarantined_reasons=reason_counts(reasons),
    )
