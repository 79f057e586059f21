-- Rows of tables that an older voice system has beside ours, and that are only read: of each row the tenant, the row as it
-- is, and the number of the transaction that wrote it. None where there is no such table, or none that we may read: it may
-- be made, and dropped, by others at any time.
CREATE FUNCTION pronto_older(older text) RETURNS TABLE (domain_uuid text, value jsonb, version bigint)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF older NOT IN ('v_voice_secretary_settings', 'v_voice_transfer_rules') OR to_regclass(older) IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE
        format('SELECT lower(r.domain_uuid::text), to_jsonb(r), r.xmin::text::bigint FROM %I AS r', older);
EXCEPTION WHEN undefined_table OR undefined_column OR insufficient_privilege THEN
    RETURN;
END $$;

-- Changes of those that are there are told at once; of others a look finds them (0007).
SELECT pronto_watch(c.oid::regclass)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'domain_uuid'
WHERE c.oid IN (to_regclass('v_voice_secretary_settings'), to_regclass('v_voice_transfer_rules')) AND c.relkind = 'r';
