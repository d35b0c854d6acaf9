INSERT INTO "staging"."shop__order_items" ("id", "odd ""name""", "amount", "note", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_load", "_cdc_loaded_at")
SELECT "id", "odd ""name""", "amount", "note", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_load", "_cdc_loaded_at"
FROM "incoming_state"
WHERE "_cdc_op" <> 'delete';
