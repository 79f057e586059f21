-- What calls cost at their providers, in millionths of a currency, by the price table of their day. cost_micros is empty
-- where the price of a part is unknown (never 0); cost_known_micros is the part whose price is known.
ALTER TABLE voip_cdr ADD COLUMN speech_characters INTEGER NOT NULL DEFAULT 0;
ALTER TABLE voip_cdr ADD COLUMN recognised_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE voip_cdr ADD COLUMN connected_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE voip_cdr ADD COLUMN cost_micros INTEGER;
ALTER TABLE voip_cdr ADD COLUMN cost_known_micros INTEGER;
ALTER TABLE voip_cdr ADD COLUMN cost_currency TEXT;
ALTER TABLE voip_cdr ADD COLUMN price_date TEXT;
ALTER TABLE v_voice_messages ADD COLUMN cost_micros INTEGER;
