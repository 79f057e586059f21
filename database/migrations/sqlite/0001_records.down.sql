DROP TABLE voip_cdr;
DROP TABLE v_voice_tool_uses;
DROP TABLE v_voice_messages;
DROP TABLE v_voice_conversations;
DROP TABLE v_voice_transfer_destinations;
DROP TABLE v_voice_secretaries;
DROP TABLE v_voice_ai_providers;
DROP TABLE v_domains;
