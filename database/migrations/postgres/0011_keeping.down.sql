-- The column of an older system's conversations is theirs.
DO $$
BEGIN
    IF obj_description('v_voice_conversations'::regclass, 'pg_class') = 'Made by Pronto' THEN
        ALTER TABLE v_voice_conversations DROP COLUMN caller_id_number;
    END IF;
END $$;
DROP INDEX IF EXISTS v_voice_conversations_caller;
DROP TABLE voip_spent;
DROP TABLE voip_callers_to_forget;
DROP TABLE voip_recordings_to_remove;
