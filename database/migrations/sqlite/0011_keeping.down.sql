DROP INDEX v_voice_conversations_caller;
ALTER TABLE v_voice_conversations DROP COLUMN caller_id_number;
DROP TABLE voip_spent;
DROP TABLE voip_callers_to_forget;
DROP TABLE voip_recordings_to_remove;
