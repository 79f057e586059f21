-- Tables that were there before us stay, with the columns that were added to them. v_domains stays: it may be FusionPBX's.
DO $$
DECLARE
    made text;
BEGIN
    FOREACH made IN ARRAY ARRAY[
        'voip_cdr', 'v_voice_tool_uses', 'v_voice_messages', 'v_voice_conversations', 'v_voice_transfer_destinations',
        'v_voice_secretaries', 'v_voice_ai_providers'
    ] LOOP
        IF obj_description(to_regclass(made), 'pg_class') = 'Made by Pronto' THEN
            EXECUTE format('DROP TABLE %I', made);
        END IF;
    END LOOP;
END $$;
