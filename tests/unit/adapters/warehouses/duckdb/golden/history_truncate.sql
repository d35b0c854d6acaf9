CREATE OR REPLACE TEMP TABLE "history_keys" AS
SELECT "id", "odd ""name""" FROM "staging"."shop__order_items"
WHERE "_cdc_current" AND "_cdc_valid_from" >= $floor AND "_cdc_valid_from" < $sequence;
-- {'floor': 369435906932736, 'sequence': 369435906932743}

DELETE FROM "staging"."shop__order_items"
WHERE "_cdc_current" AND "_cdc_valid_from" >= $floor AND "_cdc_valid_from" < $sequence;
-- {'floor': 369435906932736, 'sequence': 369435906932743}

UPDATE "staging"."shop__order_items" AS t
SET "_cdc_valid_to" = $sequence, "_cdc_valid_to_at" = greatest($commit_at, t."_cdc_valid_from_at")
FROM "history_keys" AS k
WHERE t."id" = k."id" AND t."odd ""name""" = k."odd ""name""" AND t."_cdc_valid_to" >= $floor;
-- {'floor': 369435906932736, 'sequence': 369435906932743, 'commit_at': datetime.datetime(2026, 1, 2, 0, 0, tzinfo=datetime.timezone.utc)}

UPDATE "staging"."shop__order_items"
SET "_cdc_valid_to" = $sequence, "_cdc_valid_to_at" = greatest($commit_at, "_cdc_valid_from_at"),
    "_cdc_current" = false
WHERE "_cdc_current" AND "_cdc_valid_from" < $sequence;
-- {'sequence': 369435906932743, 'commit_at': datetime.datetime(2026, 1, 2, 0, 0, tzinfo=datetime.timezone.utc)}
