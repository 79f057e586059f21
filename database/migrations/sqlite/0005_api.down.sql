DROP INDEX v_voice_conversations_start;
DROP INDEX voip_cdr_caller;
DROP TABLE voip_tenant_settings;
DROP TABLE voip_signing_keys;
DROP TABLE voip_api_tokens;
