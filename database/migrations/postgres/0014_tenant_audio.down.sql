ALTER TABLE voip_tenant_settings DROP COLUMN audio_mode;
