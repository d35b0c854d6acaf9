CREATE OR REPLACE TEMP TABLE differing AS
WITH wanted AS (
    SELECT "id", "odd ""name""", "amount", "note", 1 AS "_cdc_is_there"
    FROM wanted_rows AS t WHERE NOT EXISTS (SELECT 1 FROM waiting_keys AS k WHERE t."id" = k."id" AND t."odd ""name""" = k."odd ""name""")
), held AS (
    SELECT "id", "odd ""name""", "amount", CAST("note" AS VARCHAR) AS "note", 1 AS "_cdc_is_there" FROM "staging"."shop__order_items" AS t
    WHERE "_cdc_current" AND NOT "_cdc_deleted" AND NOT EXISTS (SELECT 1 FROM waiting_keys AS k WHERE t."id" = k."id" AND t."odd ""name""" = k."odd ""name""")
)
SELECT CASE WHEN h."_cdc_is_there" IS NULL THEN 'missing' WHEN w."_cdc_is_there" IS NULL THEN 'extra' ELSE 'changed' END
    AS "_cdc_kind", CASE WHEN w."_cdc_is_there" IS NULL THEN h."id" ELSE w."id" END AS "id", CASE WHEN w."_cdc_is_there" IS NULL THEN h."odd ""name""" ELSE w."odd ""name""" END AS "odd ""name""", CASE WHEN w."_cdc_is_there" IS NULL THEN h."amount" ELSE w."amount" END AS "amount", CASE WHEN w."_cdc_is_there" IS NULL THEN h."note" ELSE w."note" END AS "note"
FROM wanted AS w FULL JOIN held AS h ON w."id" = h."id" AND w."odd ""name""" = h."odd ""name"""
WHERE h."_cdc_is_there" IS NULL OR w."_cdc_is_there" IS NULL OR w."id" IS DISTINCT FROM h."id" OR w."odd ""name""" IS DISTINCT FROM h."odd ""name""" OR w."amount" IS DISTINCT FROM h."amount" OR w."note" IS DISTINCT FROM h."note";

SELECT count(*) FROM wanted_rows AS t WHERE NOT EXISTS (SELECT 1 FROM waiting_keys AS k WHERE t."id" = k."id" AND t."odd ""name""" = k."odd ""name""");

CREATE OR REPLACE TEMP TABLE differing AS
WITH wanted AS (
    SELECT "line", "size", row_number() OVER (PARTITION BY "line", "size") AS "_cdc_number", 1 AS "_cdc_is_there"
    FROM wanted_rows AS t
), held AS (
    SELECT "line", "size", row_number() OVER (PARTITION BY "line", "size") AS "_cdc_number", 1 AS "_cdc_is_there" FROM "staging"."shop__order_items" AS t
    WHERE "_cdc_current" AND NOT "_cdc_deleted"
)
SELECT CASE WHEN h."_cdc_is_there" IS NULL THEN 'missing' WHEN w."_cdc_is_there" IS NULL THEN 'extra' ELSE 'changed' END
    AS "_cdc_kind", CASE WHEN w."_cdc_is_there" IS NULL THEN h."line" ELSE w."line" END AS "line", CASE WHEN w."_cdc_is_there" IS NULL THEN h."size" ELSE w."size" END AS "size"
FROM wanted AS w FULL JOIN held AS h ON w."line" IS NOT DISTINCT FROM h."line" AND w."size" IS NOT DISTINCT FROM h."size" AND w."_cdc_number" = h."_cdc_number"
WHERE h."_cdc_is_there" IS NULL OR w."_cdc_is_there" IS NULL OR w."line" IS DISTINCT FROM h."line" OR w."size" IS DISTINCT FROM h."size";

SELECT count(*) FROM wanted_rows AS t;
