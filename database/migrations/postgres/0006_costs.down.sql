ALTER TABLE v_voice_messages DROP COLUMN cost_micros;
ALTER TABLE voip_cdr DROP COLUMN price_date;
ALTER TABLE voip_cdr DROP COLUMN cost_currency;
ALTER TABLE voip_cdr DROP COLUMN cost_known_micros;
ALTER TABLE voip_cdr DROP COLUMN cost_micros;
ALTER TABLE voip_cdr DROP COLUMN connected_ms;
ALTER TABLE voip_cdr DROP COLUMN recognised_ms;
ALTER TABLE voip_cdr DROP COLUMN speech_characters;
