SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM "incoming_state" WHERE "_cdc_op" = 'delete')
    AND NOT EXISTS (SELECT 1 FROM "incoming_state" GROUP BY "id", "odd ""name""" HAVING count(*) > 1)
    AND NOT EXISTS (SELECT 1 FROM "staging"."shop__order_items" AS t JOIN "incoming_state" AS s ON t."id" = s."id" AND t."odd ""name""" = s."odd ""name""");

CREATE OR REPLACE TEMP TABLE "history_held" AS
SELECT "id", "odd ""name""" FROM "staging"."shop__order_items" LIMIT 0;

INSERT INTO "history_held"
SELECT "id", "odd ""name""" FROM "incoming_state";

UPDATE "staging"."shop__order_items" AS t
SET "_cdc_valid_to" = $sequence, "_cdc_valid_to_at" = greatest($at, t."_cdc_valid_from_at"), "_cdc_current" = false
WHERE t."_cdc_current" AND NOT EXISTS (SELECT 1 FROM "history_held" AS h WHERE t."id" = h."id" AND t."odd ""name""" = h."odd ""name""");
-- {'sequence': 9, 'at': datetime.datetime(2026, 1, 3, 0, 0, tzinfo=datetime.timezone.utc)}
