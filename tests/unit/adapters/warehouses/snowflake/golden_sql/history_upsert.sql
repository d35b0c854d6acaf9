MERGE INTO "STAGING"."SHOP__ORDER_ITEMS" AS t
USING (
WITH states AS (
SELECT $1:c0::NUMBER(38,0) AS "ID", $1:c1::VARCHAR AS "odd ""name""", $1:c2::NUMBER(12,2) AS "AMOUNT", PARSE_JSON($1:c3::VARCHAR, 'd') AS "NOTE", PARSE_JSON($1:c4::VARCHAR)::ARRAY AS "TAGS", $1:c5::TIMESTAMP_NTZ(6)::TIMESTAMP_TZ(6) AS "AT", $1:c6::VARCHAR AS "_CDC_OP", $1:c7::NUMBER(38,0) AS "_CDC_SEQUENCE", $1:c8::TIMESTAMP_NTZ(6)::TIMESTAMP_TZ(6) AS "_CDC_COMMIT_AT", $1:c9::NUMBER(38,0) AS "_CDC_LOAD", $1:c10::TIMESTAMP_NTZ(6)::TIMESTAMP_TZ(6) AS "_CDC_LOADED_AT"
FROM @PIPELINE.LOADS/20260103-0a1b/7.parquet (FILE_FORMAT => 'PIPELINE.PARQUET_2')
), known AS (
    SELECT v.* FROM "STAGING"."SHOP__ORDER_ITEMS" AS v JOIN (SELECT DISTINCT "ID", "odd ""name""" FROM states) AS k ON v."ID" = k."ID" AND v."odd ""name""" = k."odd ""name"""
), newest AS (
    SELECT "ID", "odd ""name""", MAX(GREATEST("_CDC_SEQUENCE", COALESCE("_CDC_VALID_TO", "_CDC_SEQUENCE"))) AS "_CDC_NEWEST" FROM known GROUP BY "ID", "odd ""name"""
), fresh AS (
    SELECT s.* FROM states AS s LEFT JOIN newest AS n ON s."ID" = n."ID" AND s."odd ""name""" = n."odd ""name"""
    WHERE n."ID" IS NULL OR n."_CDC_NEWEST" < s."_CDC_SEQUENCE"
), floors AS (
    SELECT "ID", "odd ""name""", MIN("_CDC_SEQUENCE") - MOD(MIN("_CDC_SEQUENCE"), 17592186044416) AS "_CDC_FLOOR" FROM fresh GROUP BY "ID", "odd ""name"""
), touched AS (
    SELECT v.*, f."_CDC_FLOOR" FROM known AS v JOIN floors AS f ON v."ID" = f."ID" AND v."odd ""name""" = f."odd ""name"""
    WHERE v."_CDC_VALID_TO" IS NULL OR v."_CDC_VALID_TO" >= f."_CDC_FLOOR"
), earlier AS (
    SELECT v."ID", v."odd ""name""", MAX(v."_CDC_VALID_TO_AT") AS "_CDC_ENDED_AT"
    FROM known AS v JOIN floors AS f ON v."ID" = f."ID" AND v."odd ""name""" = f."odd ""name"""
    WHERE v."_CDC_VALID_TO" < f."_CDC_FLOOR"
    GROUP BY v."ID", v."odd ""name"""
), events AS (
    SELECT "ID", "odd ""name""", "AMOUNT", "NOTE", "TAGS", "AT", "_CDC_OP", "_CDC_SEQUENCE", "_CDC_COMMIT_AT", "_CDC_LOAD", "_CDC_LOADED_AT", "_CDC_VALID_FROM_AT" AS "_CDC_AT", FALSE AS "_CDC_IS_DELETE"
    FROM touched WHERE "_CDC_VALID_FROM" < "_CDC_FLOOR"
    UNION ALL
    SELECT "ID", "odd ""name""", "AMOUNT", "NOTE", "TAGS", "AT", "_CDC_OP", "_CDC_SEQUENCE", "_CDC_COMMIT_AT", "_CDC_LOAD", "_CDC_LOADED_AT", "_CDC_COMMIT_AT", "_CDC_OP" = 'delete'
    FROM fresh
), compared AS (
    SELECT *, LAG("_CDC_IS_DELETE", 1, TRUE) OVER (PARTITION BY "ID", "odd ""name""" ORDER BY "_CDC_SEQUENCE") AS "_CDC_IS_GONE",
        "AMOUNT" IS DISTINCT FROM LAG("AMOUNT") OVER (PARTITION BY "ID", "odd ""name""" ORDER BY "_CDC_SEQUENCE")
        OR TO_JSON("NOTE") IS DISTINCT FROM LAG(TO_JSON("NOTE")) OVER (PARTITION BY "ID", "odd ""name""" ORDER BY "_CDC_SEQUENCE")
        OR TO_JSON("TAGS") IS DISTINCT FROM LAG(TO_JSON("TAGS")) OVER (PARTITION BY "ID", "odd ""name""" ORDER BY "_CDC_SEQUENCE")
        OR "AT" IS DISTINCT FROM LAG("AT") OVER (PARTITION BY "ID", "odd ""name""" ORDER BY "_CDC_SEQUENCE") AS "_CDC_IS_OTHER"
    FROM events
), kept AS (
    SELECT * FROM compared
    WHERE IFF("_CDC_IS_DELETE", NOT "_CDC_IS_GONE", "_CDC_IS_GONE" OR "_CDC_IS_OTHER")
), reached AS (
    SELECT k.*, MAX(GREATEST(k."_CDC_AT", COALESCE(e."_CDC_ENDED_AT", k."_CDC_AT"))) OVER (
        PARTITION BY k."ID", k."odd ""name""" ORDER BY k."_CDC_SEQUENCE"
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "_CDC_REACHED_AT"
    FROM kept AS k LEFT JOIN earlier AS e ON k."ID" = e."ID" AND k."odd ""name""" = e."odd ""name"""
), versions AS (
    SELECT *, LEAD("_CDC_SEQUENCE") OVER (PARTITION BY "ID", "odd ""name""" ORDER BY "_CDC_SEQUENCE") AS "_CDC_NEXT", LEAD("_CDC_REACHED_AT") OVER (PARTITION BY "ID", "odd ""name""" ORDER BY "_CDC_SEQUENCE") AS "_CDC_NEXT_AT"
    FROM reached
)
SELECT "ID", "odd ""name""", "AMOUNT", "NOTE", "TAGS", "AT", "_CDC_OP", "_CDC_SEQUENCE", "_CDC_COMMIT_AT", "_CDC_LOAD", "_CDC_LOADED_AT", "_CDC_REACHED_AT", "_CDC_NEXT", "_CDC_NEXT_AT", FALSE AS "_CDC_IS_TAKEN_BACK"
FROM versions WHERE NOT "_CDC_IS_DELETE"
UNION ALL
SELECT "ID", "odd ""name""", "AMOUNT", "NOTE", "TAGS", "AT", "_CDC_OP", "_CDC_SEQUENCE", "_CDC_COMMIT_AT", "_CDC_LOAD", "_CDC_LOADED_AT", NULL, NULL, NULL, TRUE
FROM touched WHERE "_CDC_VALID_FROM" >= "_CDC_FLOOR"
) AS s
ON t."ID" = s."ID" AND t."odd ""name""" = s."odd ""name""" AND t."_CDC_VALID_FROM" = s."_CDC_SEQUENCE"
WHEN MATCHED AND s."_CDC_IS_TAKEN_BACK" THEN DELETE
WHEN MATCHED THEN UPDATE SET "_CDC_VALID_TO" = s."_CDC_NEXT", "_CDC_VALID_TO_AT" = s."_CDC_NEXT_AT", "_CDC_CURRENT" = s."_CDC_NEXT" IS NULL
WHEN NOT MATCHED THEN INSERT ("ID", "odd ""name""", "AMOUNT", "NOTE", "TAGS", "AT", "_CDC_OP", "_CDC_SEQUENCE", "_CDC_COMMIT_AT", "_CDC_LOAD", "_CDC_LOADED_AT", "_CDC_DELETED", "_CDC_VALID_FROM", "_CDC_VALID_FROM_AT", "_CDC_VALID_TO", "_CDC_VALID_TO_AT", "_CDC_CURRENT")
    VALUES (s."ID", s."odd ""name""", s."AMOUNT", s."NOTE", s."TAGS", s."AT", s."_CDC_OP", s."_CDC_SEQUENCE", s."_CDC_COMMIT_AT", s."_CDC_LOAD", s."_CDC_LOADED_AT", FALSE, s."_CDC_SEQUENCE", s."_CDC_REACHED_AT", s."_CDC_NEXT", s."_CDC_NEXT_AT", s."_CDC_NEXT" IS NULL);
