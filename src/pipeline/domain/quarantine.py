"""Rows that broke a rule, and what later changes of their keys do to them.

Which rows break a rule is ``validation``'s; storing them is the warehouse's.
"""

from __future__ import annotations

import attrs
import pyarrow as pa

from pipeline.domain.change import COMMIT_AT_TYPE
from pipeline.domain.position import SEQUENCE_TYPE

#: A quarantined row. ``key`` and ``row`` are JSON objects with canonical texts of the values (``row`` with every
#: column, misfits as the source wrote them); ``reasons`` rule labels without values; ``contract_version`` which
#: contract judged it; ``op`` an ``Operation`` label. The warehouse adds load, status and times.
QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("sequence", SEQUENCE_TYPE),
        pa.field("op", pa.string()),
        pa.field("commit_at", COMMIT_AT_TYPE),
        pa.field("key", pa.string()),
        pa.field("row", pa.string()),
        pa.field("reasons", pa.list_(pa.string())),
        pa.field("contract_version", pa.string()),
    ]
)

STATUS_WAITING = "waiting"
STATUS_SUPERSEDED = "superseded"
STATUS_CLOSED = "closed"
STATUS_RELEASED = "released"
STATUS_DISCARDED = "discarded"

#: Waiting rows of ``key`` with a sequence below ``before`` get ``status``. A null ``key`` means every key (truncate).
SETTLED_SCHEMA = pa.schema(
    [pa.field("key", pa.string()), pa.field("before", SEQUENCE_TYPE), pa.field("status", pa.string())]
)


@attrs.frozen
class Waiting:
    """The keys (canonical JSON, as in ``QUARANTINE_SCHEMA``) of a stream's rows that wait in quarantine."""

    keys: frozenset[str] = frozenset()
