CREATE TABLE "staging"."shop__order_items" ("id" BIGINT, "odd ""name""" VARCHAR, "amount" DECIMAL(12,2), "note" JSON, "_cdc_op" ENUM ('insert', 'update', 'delete', 'truncate', 'snapshot'), "_cdc_sequence" DECIMAL(38,0), "_cdc_commit_at" TIMESTAMPTZ, "_cdc_load" BIGINT, "_cdc_loaded_at" TIMESTAMPTZ, "_cdc_deleted" BOOLEAN GENERATED ALWAYS AS (false) VIRTUAL, "_cdc_valid_from" DECIMAL(38,0) GENERATED ALWAYS AS ("_cdc_sequence") VIRTUAL, "_cdc_valid_to" DECIMAL(38,0) GENERATED ALWAYS AS (CAST(NULL AS DECIMAL(38,0))) VIRTUAL, "_cdc_valid_from_at" TIMESTAMPTZ GENERATED ALWAYS AS ("_cdc_commit_at") VIRTUAL, "_cdc_valid_to_at" TIMESTAMPTZ GENERATED ALWAYS AS (CAST(NULL AS TIMESTAMPTZ)) VIRTUAL, "_cdc_current" BOOLEAN GENERATED ALWAYS AS (true) VIRTUAL);

CREATE TABLE "changelog"."shop__order_items" ("id" BIGINT, "odd ""name""" VARCHAR, "amount" DECIMAL(12,2), "note" JSON, "_cdc_op" ENUM ('insert', 'update', 'delete', 'truncate', 'snapshot'), "_cdc_sequence" DECIMAL(38,0), "_cdc_commit_at" TIMESTAMPTZ, "_cdc_unchanged" VARCHAR[], "_cdc_old_key" JSON, "_cdc_schema_version" INTEGER, "_cdc_load" BIGINT, "_cdc_loaded_at" TIMESTAMPTZ);

CREATE TABLE "changelog"."shop__order_items" ("line" VARCHAR, "size" DOUBLE, "_cdc_op" ENUM ('insert', 'update', 'delete', 'truncate', 'snapshot'), "_cdc_sequence" DECIMAL(38,0), "_cdc_commit_at" TIMESTAMPTZ, "_cdc_unchanged" VARCHAR[], "_cdc_schema_version" INTEGER, "_cdc_load" BIGINT, "_cdc_loaded_at" TIMESTAMPTZ);

CREATE TABLE "quarantine"."shop__order_items" ("sequence" DECIMAL(38,0), "op" VARCHAR, "commit_at" TIMESTAMPTZ, "key" VARCHAR, "row" VARCHAR, "reasons" VARCHAR[], "contract_version" VARCHAR, "status" VARCHAR, "load" BIGINT, "quarantined_at" TIMESTAMPTZ, "settled_load" BIGINT, "settled_at" TIMESTAMPTZ);

CREATE OR REPLACE VIEW "staging"."shop__order_items" AS
SELECT "id", "odd ""name""", "amount", "note", "_cdc_op", "_cdc_sequence", "_cdc_commit_at", "_cdc_load", "_cdc_loaded_at",
    "_cdc_op" IN ('delete', 'truncate') AS "_cdc_deleted",
    "_cdc_sequence" AS "_cdc_valid_from",
    CAST(NULL AS DECIMAL(38,0)) AS "_cdc_valid_to",
    "_cdc_commit_at" AS "_cdc_valid_from_at",
    CAST(NULL AS TIMESTAMPTZ) AS "_cdc_valid_to_at",
    true AS "_cdc_current"
FROM "changelog"."shop__order_items";
