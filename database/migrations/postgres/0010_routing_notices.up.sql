-- Changes of routing rows are told as those of other configuration are (0007): by tenant, by whatever program.

CREATE FUNCTION pronto_routing_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    tenants text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT tenant_id::text) INTO tenants FROM new_rows;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT tenant_id::text) INTO tenants FROM old_rows;
    ELSIF TG_OP = 'UPDATE' THEN
        SELECT array_agg(DISTINCT t) INTO tenants
            FROM (SELECT tenant_id::text AS t FROM new_rows UNION SELECT tenant_id::text FROM old_rows) AS both_rows;
    ELSE
        tenants := ARRAY['*'];
    END IF;
    IF cardinality(tenants) > 100 THEN
        tenants := ARRAY['*'];
    END IF;
    PERFORM pg_notify('pronto_configuration', t) FROM unnest(tenants) AS t WHERE t IS NOT NULL;
    RETURN NULL;
END $$;

DO $$
DECLARE
    watched text;
BEGIN
    FOREACH watched IN ARRAY ARRAY['voip_ai_tenants', 'ai_agents', 'voip_ai_calendars',
        'voip_ai_calendar_dates', 'voip_trunk_ai_settings'] LOOP
        EXECUTE format('CREATE TRIGGER pronto_inserted AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION pronto_routing_changed()', watched);
        EXECUTE format('CREATE TRIGGER pronto_updated AFTER UPDATE ON %I REFERENCING OLD TABLE AS old_rows
            NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION pronto_routing_changed()', watched);
        EXECUTE format('CREATE TRIGGER pronto_deleted AFTER DELETE ON %I REFERENCING OLD TABLE AS old_rows
            FOR EACH STATEMENT EXECUTE FUNCTION pronto_routing_changed()', watched);
        EXECUTE format('CREATE TRIGGER pronto_truncated AFTER TRUNCATE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION pronto_routing_changed()', watched);
    END LOOP;
END $$;
