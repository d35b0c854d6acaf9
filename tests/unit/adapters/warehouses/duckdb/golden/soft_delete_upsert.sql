DELETE FROM "staging"."shop__order_items" AS t USING "incoming_state" AS s
WHERE t."id" = s."id" AND t."odd ""name""" = s."odd ""name""";

INSERT INTO "staging"."shop__order_items" ("id", "odd ""name""", "amount", "note", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_load", "_cdc_loaded_at", "_cdc_deleted", "_cdc_valid_from", "_cdc_valid_to", "_cdc_valid_from_at", "_cdc_valid_to_at", "_cdc_current")
SELECT "id", "odd ""name""", "amount", "note", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_load", "_cdc_loaded_at", "_cdc_op" = 'delete', "_cdc_sequence", CAST(NULL AS DECIMAL(38,0)), "_cdc_commit_at", CAST(NULL AS TIMESTAMPTZ), true
FROM "incoming_state";
