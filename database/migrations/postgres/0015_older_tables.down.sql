DO $$
DECLARE
    watched text;
    name text;
BEGIN
    FOREACH watched IN ARRAY ARRAY['v_voice_secretary_settings', 'v_voice_transfer_rules'] LOOP
        IF to_regclass(watched) IS NOT NULL THEN
            FOREACH name IN ARRAY ARRAY['pronto_inserted', 'pronto_updated', 'pronto_deleted', 'pronto_emptied'] LOOP
                EXECUTE format('DROP TRIGGER IF EXISTS %I ON %I', name, watched);
            END LOOP;
        END IF;
    END LOOP;
END $$;
DROP FUNCTION pronto_older(text);
