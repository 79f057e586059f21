-- How a tenant's calls by the outbound Event Socket bring their audio: esl, rtp, dual or websocket. NULL: as AUDIO_MODE says.
ALTER TABLE voip_tenant_settings ADD COLUMN audio_mode text;
