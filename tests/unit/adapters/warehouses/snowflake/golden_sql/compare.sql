WITH wanted AS (
    SELECT t."ID", t."odd ""name""", t."AMOUNT", t."NOTE", t."TAGS", t."AT", 1 AS "_CDC_NUMBER" FROM "PIPELINE"."WANTED" AS t
    LEFT JOIN "PIPELINE"."WAITING" AS k ON t."ID" = k."ID" AND t."odd ""name""" = k."odd ""name""" WHERE k."ID" IS NULL
), held AS (
    SELECT t."ID", t."odd ""name""", t."AMOUNT", t."NOTE", t."TAGS", t."AT", 1 AS "_CDC_NUMBER"
    FROM "STAGING"."SHOP__ORDER_ITEMS" AS t
    LEFT JOIN "PIPELINE"."WAITING" AS k ON t."ID" = k."ID" AND t."odd ""name""" = k."odd ""name""" WHERE k."ID" IS NULL
    AND t."_CDC_CURRENT" AND NOT t."_CDC_DELETED"
)
SELECT CASE WHEN h."_CDC_NUMBER" IS NULL THEN 'missing' WHEN w."_CDC_NUMBER" IS NULL THEN 'extra' ELSE 'changed' END AS "_CDC_KIND",
    IFF(w."_CDC_NUMBER" IS NULL, h."ID", w."ID") AS "ID", IFF(w."_CDC_NUMBER" IS NULL, h."odd ""name""", w."odd ""name""") AS "odd ""name""", IFF(w."_CDC_NUMBER" IS NULL, h."AMOUNT", w."AMOUNT") AS "AMOUNT", IFF(w."_CDC_NUMBER" IS NULL, h."NOTE", w."NOTE") AS "NOTE", IFF(w."_CDC_NUMBER" IS NULL, h."TAGS", w."TAGS") AS "TAGS", IFF(w."_CDC_NUMBER" IS NULL, h."AT", w."AT") AS "AT"
FROM wanted AS w FULL OUTER JOIN held AS h ON w."ID" = h."ID" AND w."odd ""name""" = h."odd ""name"""
WHERE h."_CDC_NUMBER" IS NULL OR w."_CDC_NUMBER" IS NULL
    OR w."ID" IS DISTINCT FROM h."ID"
    OR w."odd ""name""" IS DISTINCT FROM h."odd ""name"""
    OR w."AMOUNT" IS DISTINCT FROM h."AMOUNT"
    OR TO_JSON(w."NOTE") IS DISTINCT FROM TO_JSON(h."NOTE")
    OR TO_JSON(w."TAGS") IS DISTINCT FROM TO_JSON(h."TAGS")
    OR w."AT" IS DISTINCT FROM h."AT";

SELECT COUNT(*) FROM "PIPELINE"."WANTED" AS t
    LEFT JOIN "PIPELINE"."WAITING" AS k ON t."ID" = k."ID" AND t."odd ""name""" = k."odd ""name""" WHERE k."ID" IS NULL;

WITH wanted AS (
    SELECT t."LINE", t."SIZE", ROW_NUMBER() OVER (PARTITION BY t."LINE", t."SIZE" ORDER BY NULL) AS "_CDC_NUMBER" FROM "PIPELINE"."WANTED" AS t
), held AS (
    SELECT t."LINE", t."SIZE", ROW_NUMBER() OVER (PARTITION BY t."LINE", t."SIZE" ORDER BY NULL) AS "_CDC_NUMBER"
    FROM "STAGING"."SHOP__ORDER_ITEMS" AS t
    WHERE t."_CDC_CURRENT" AND NOT t."_CDC_DELETED"
)
SELECT CASE WHEN h."_CDC_NUMBER" IS NULL THEN 'missing' WHEN w."_CDC_NUMBER" IS NULL THEN 'extra' ELSE 'changed' END AS "_CDC_KIND",
    IFF(w."_CDC_NUMBER" IS NULL, h."LINE", w."LINE") AS "LINE", IFF(w."_CDC_NUMBER" IS NULL, h."SIZE", w."SIZE") AS "SIZE"
FROM wanted AS w FULL OUTER JOIN held AS h ON EQUAL_NULL(w."LINE", h."LINE") AND EQUAL_NULL(w."SIZE", h."SIZE") AND w."_CDC_NUMBER" = h."_CDC_NUMBER"
WHERE h."_CDC_NUMBER" IS NULL OR w."_CDC_NUMBER" IS NULL
    OR w."LINE" IS DISTINCT FROM h."LINE"
    OR w."SIZE" IS DISTINCT FROM h."SIZE";

SELECT COUNT(*) FROM "PIPELINE"."WANTED" AS t;
