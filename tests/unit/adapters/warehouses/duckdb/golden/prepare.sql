SELECT 1 FROM "staging"."shop__order_items" LIMIT 1;

CREATE OR REPLACE TEMP TABLE "incoming_resolved" AS
SELECT s."id", s."odd ""name""", s."amount", CASE WHEN list_contains(s."_cdc_unchanged", 'note') THEN b."note" ELSE s."note" END AS "note", s."_cdc_op", s."_cdc_sequence", s."_cdc_commit_at", s."_cdc_load", s."_cdc_loaded_at"
FROM "incoming_state" AS s LEFT JOIN "staging"."shop__order_items" AS b ON b."id" = s."_cdc_base_key"."id" AND b."odd ""name""" = s."_cdc_base_key"."odd ""name""" AND b."_cdc_current";

SELECT 1 FROM "staging"."shop__order_items"
WHERE "_cdc_sequence" >= $lowest OR "_cdc_valid_to" >= $lowest LIMIT 1;
-- {'lowest': 4711}

CREATE OR REPLACE TEMP TABLE "incoming_fresh" AS
SELECT * FROM "incoming_resolved" AS s
WHERE NOT EXISTS (
    SELECT 1 FROM "staging"."shop__order_items" AS t
    WHERE t."id" = s."id" AND t."odd ""name""" = s."odd ""name"""
        AND greatest(t."_cdc_sequence", t."_cdc_valid_to") >= s."_cdc_sequence"
);
