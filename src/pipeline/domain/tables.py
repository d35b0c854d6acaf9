"""The columns of the tables that the pipeline keeps in a warehouse: the same on every warehouse and in every mode.

Storing them, and naming types, is each warehouse adapter's; which rows they get is told in ``LoadStep``.
"""

from __future__ import annotations

import pyarrow as pa

from pipeline.domain.change import COMMIT_AT, COMMIT_AT_TYPE, OLD_KEY, OP, SEQUENCE, UNCHANGED, UNCHANGED_TYPE
from pipeline.domain.position import SEQUENCE_TYPE
from pipeline.domain.quarantine import QUARANTINE_SCHEMA
from pipeline.domain.schema import StreamSchema

LOAD = "_cdc_load"
LOADED_AT = "_cdc_loaded_at"
SCHEMA_VERSION = "_cdc_schema_version"
DELETED = "_cdc_deleted"
VALID_FROM = "_cdc_valid_from"
VALID_TO = "_cdc_valid_to"
VALID_FROM_AT = "_cdc_valid_from_at"
VALID_TO_AT = "_cdc_valid_to_at"
CURRENT = "_cdc_current"

#: Metadata columns of a staging table. ``_cdc_op`` is the label of the change that made the row what it is (the old
#: key of a key change: ``delete``; a row tombstoned by a TRUNCATE: ``truncate``), ``_cdc_sequence``,
#: ``_cdc_commit_at`` and ``_cdc_load`` are that change's, ``_cdc_loaded_at`` is the ``at`` of that load's checkpoint.
#: By mode:
#:
#: - mirror: ``deleted`` false, ``valid_from`` = sequence, ``valid_from_at`` = commit_at, ``valid_to`` and
#:   ``valid_to_at`` null, ``current`` true;
#: - soft_delete: the same, but ``deleted`` true on tombstones, which keep their last values (a tombstone of a row
#:   that was never seen has its key alone); a TRUNCATE tombstones live rows and leaves older tombstones alone;
#: - history: one row per version, ``deleted`` false. Each key has at most one version per commit, also when the commit
#:   comes in several steps: the later step takes back what the earlier one of the same commit did to the key (removes
#:   the version, reopens the one before) after its values were read as base. Closing sets only ``valid_to``,
#:   ``valid_to_at`` and ``current``. ``valid_from`` and ``valid_to`` are sequences; ``valid_to_at`` =
#:   max(commit time, own ``valid_from_at``), ``valid_from_at`` = max(commit time, ``valid_to_at`` of the key's version
#:   before it), so that intervals overlap neither by sequence nor by time;
#: - append: one row per changelog row, ``deleted`` true for deletes and truncates, else like mirror.
STAGING_METADATA = pa.schema(
    [
        pa.field(OP, pa.string()),
        pa.field(SEQUENCE, SEQUENCE_TYPE),
        pa.field(COMMIT_AT, COMMIT_AT_TYPE),
        pa.field(LOAD, pa.int64()),
        pa.field(LOADED_AT, COMMIT_AT_TYPE),
        pa.field(DELETED, pa.bool_()),
        pa.field(VALID_FROM, SEQUENCE_TYPE),
        pa.field(VALID_TO, SEQUENCE_TYPE),
        pa.field(VALID_FROM_AT, COMMIT_AT_TYPE),
        pa.field(VALID_TO_AT, COMMIT_AT_TYPE),
        pa.field(CURRENT, pa.bool_()),
    ]
)

#: A quarantine table: ``load`` is the load that set the row apart, ``quarantined_at`` its checkpoint's ``at``;
#: ``settled_load`` and ``settled_at`` the same of the load that settled it, null while it waits.
QUARANTINE_TABLE_SCHEMA = pa.schema(
    [
        *QUARANTINE_SCHEMA,
        pa.field("status", pa.string()),
        pa.field("load", pa.int64()),
        pa.field("quarantined_at", COMMIT_AT_TYPE),
        pa.field("settled_load", pa.int64()),
        pa.field("settled_at", COMMIT_AT_TYPE),
    ]
)


def staging_schema(schema: StreamSchema) -> pa.Schema:
    """The columns of a staging table: the data columns, then ``STAGING_METADATA``."""
    return pa.schema([*schema.arrow(), *STAGING_METADATA])


def changelog_schema(schema: StreamSchema) -> pa.Schema:
    """The columns of a changelog: those of ``change_schema``, the operation as its label, and where the row came from.

    ``_cdc_old_key`` is absent when the stream has no key.
    """
    fields = [
        *schema.arrow(),
        pa.field(OP, pa.string()),
        pa.field(SEQUENCE, SEQUENCE_TYPE),
        pa.field(COMMIT_AT, COMMIT_AT_TYPE),
        pa.field(UNCHANGED, UNCHANGED_TYPE),
    ]
    if schema.key:
        fields.append(pa.field(OLD_KEY, schema.key_type()))
    fields += [
        pa.field(SCHEMA_VERSION, pa.int32()),
        pa.field(LOAD, pa.int64()),
        pa.field(LOADED_AT, COMMIT_AT_TYPE),
    ]
    return pa.schema(fields)
