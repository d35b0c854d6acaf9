INSERT INTO "changelog"."shop__order_items" ("id", "odd ""name""", "amount", "note", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_unchanged", "_cdc_old_key", "_cdc_schema_version", "_cdc_load", "_cdc_loaded_at")
SELECT "id", "odd ""name""", "amount", "note", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_unchanged", "_cdc_old_key", "_cdc_schema_version", "_cdc_load", "_cdc_loaded_at" FROM "incoming_changes";

INSERT INTO "changelog"."shop__order_items" ("line", "size", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_unchanged", "_cdc_schema_version", "_cdc_load", "_cdc_loaded_at")
SELECT "line", "size", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_unchanged", "_cdc_schema_version", "_cdc_load", "_cdc_loaded_at" FROM "incoming_changes";
