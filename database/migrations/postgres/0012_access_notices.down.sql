DROP INDEX voip_ai_calendar_dates_tenant;

DO $$
DECLARE
    watched text;
    name text;
BEGIN
    FOREACH watched IN ARRAY ARRAY['voip_signing_keys', 'voip_tenant_settings'] LOOP
        FOREACH name IN ARRAY ARRAY['pronto_inserted', 'pronto_updated', 'pronto_deleted', 'pronto_emptied'] LOOP
            EXECUTE format('DROP TRIGGER IF EXISTS %I ON %I', name, watched);
        END LOOP;
    END LOOP;
END $$;
