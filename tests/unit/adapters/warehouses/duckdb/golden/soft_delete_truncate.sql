UPDATE "staging"."shop__order_items"
SET "_cdc_op" = 'truncate', "_cdc_sequence" = $sequence, "_cdc_commit_at" = $commit_at,
    "_cdc_load" = $load, "_cdc_loaded_at" = $loaded_at, "_cdc_deleted" = true,
    "_cdc_valid_from" = $sequence, "_cdc_valid_from_at" = $commit_at
WHERE NOT "_cdc_deleted" AND "_cdc_sequence" < $sequence;
-- {'sequence': 369435906932743, 'commit_at': datetime.datetime(2026, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), 'load': 12, 'loaded_at': datetime.datetime(2026, 1, 3, 0, 0, tzinfo=datetime.timezone.utc)}
