CREATE OR REPLACE TEMP TABLE "history_keys" AS
SELECT "id", "odd ""name""", CAST((CAST(min("_cdc_sequence") AS HUGEINT) >> 44) << 44 AS DECIMAL(38,0)) AS "_cdc_floor"
FROM "incoming_state" GROUP BY "id", "odd ""name""";

CREATE OR REPLACE TEMP TABLE "history_touched" AS
SELECT k."_cdc_floor", t.*
FROM "staging"."shop__order_items" AS t JOIN "history_keys" AS k ON t."id" = k."id" AND t."odd ""name""" = k."odd ""name"""
WHERE t."_cdc_valid_to" IS NULL OR t."_cdc_valid_to" >= k."_cdc_floor";

DELETE FROM "staging"."shop__order_items" AS t USING "history_touched" AS h
WHERE t."id" = h."id" AND t."odd ""name""" = h."odd ""name""" AND t."_cdc_valid_from" = h."_cdc_valid_from";

INSERT INTO "staging"."shop__order_items" ("id", "odd ""name""", "amount", "note", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_load", "_cdc_loaded_at", "_cdc_deleted", "_cdc_valid_from", "_cdc_valid_to", "_cdc_valid_from_at", "_cdc_valid_to_at", "_cdc_current")
WITH earlier AS (
    SELECT t."id", t."odd ""name""", max(t."_cdc_valid_to_at") AS "_cdc_ended_at"
    FROM "staging"."shop__order_items" AS t JOIN "history_keys" AS k ON t."id" = k."id" AND t."odd ""name""" = k."odd ""name"""
    GROUP BY ALL
), events AS (
    SELECT "id", "odd ""name""", "amount", "note", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_load", "_cdc_loaded_at", "_cdc_valid_from_at" AS "_cdc_at", false AS "_cdc_is_delete"
    FROM "history_touched" WHERE "_cdc_valid_from" < "_cdc_floor"
    UNION ALL
    SELECT "id", "odd ""name""", "amount", "note", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_load", "_cdc_loaded_at", "_cdc_commit_at", "_cdc_op" = 'delete'
    FROM "incoming_state"
), valued AS (
    SELECT *, struct_pack(c0 := "id", c1 := "odd ""name""", c2 := "amount", c3 := "note") AS "_cdc_values" FROM events
), compared AS (
    SELECT *, lag("_cdc_is_delete", 1, true) OVER chain AS "_cdc_is_gone",
        lag("_cdc_values") OVER chain AS "_cdc_before"
    FROM valued WINDOW chain AS (PARTITION BY "id", "odd ""name""" ORDER BY "_cdc_sequence")
), kept AS (
    SELECT * FROM compared
    WHERE CASE WHEN "_cdc_is_delete" THEN NOT "_cdc_is_gone"
        ELSE "_cdc_is_gone" OR "_cdc_values" IS DISTINCT FROM "_cdc_before" END
), reached AS (
    SELECT k.*, max(greatest(k."_cdc_at", e."_cdc_ended_at")) OVER (
        PARTITION BY k."id", k."odd ""name""" ORDER BY k."_cdc_sequence"
    ) AS "_cdc_reached_at"
    FROM kept AS k LEFT JOIN earlier AS e ON k."id" = e."id" AND k."odd ""name""" = e."odd ""name"""
), versions AS (
    SELECT *, lead("_cdc_sequence") OVER chain AS "_cdc_next", lead("_cdc_reached_at") OVER chain AS "_cdc_next_at"
    FROM reached WINDOW chain AS (PARTITION BY "id", "odd ""name""" ORDER BY "_cdc_sequence")
)
SELECT "id", "odd ""name""", "amount", "note", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_load", "_cdc_loaded_at", false, "_cdc_sequence", "_cdc_next", "_cdc_reached_at", "_cdc_next_at", "_cdc_next" IS NULL
FROM versions WHERE NOT "_cdc_is_delete";
