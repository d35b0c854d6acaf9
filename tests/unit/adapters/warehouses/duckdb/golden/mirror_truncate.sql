DELETE FROM "staging"."shop__order_items"
WHERE "_cdc_sequence" < $sequence;
-- {'sequence': 369435906932743}
