-- Tables that were there before us stay. One without a comment is of a Pronto that made them all itself.
DO $$
DECLARE
    made text;
    mark text;
BEGIN
    FOREACH made IN ARRAY ARRAY['voip_activity_log', 'voip_trunk_ai_settings', 'voip_ai_calendar_dates',
        'voip_ai_calendars', 'ai_agents', 'voip_ai_tenants'] LOOP
        mark := obj_description(to_regclass(made), 'pg_class');
        IF to_regclass(made) IS NULL THEN
            CONTINUE;
        ELSIF coalesce(mark, 'Made by Pronto') = 'Made by Pronto' THEN
            EXECUTE format('DROP TABLE %I', made);
        ELSIF mark = 'Adopted by Pronto' THEN
            EXECUTE format('COMMENT ON TABLE %I IS NULL', made);
        END IF;
    END LOOP;
END $$;
