-- What calls cost at their providers, in millionths of a currency, by the price table of their day. cost_micros is empty
-- where the price of a part is unknown (never 0); cost_known_micros is the part whose price is known.
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS speech_characters bigint NOT NULL DEFAULT 0;
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS recognised_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS connected_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS cost_micros bigint;
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS cost_known_micros bigint;
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS cost_currency text;
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS price_date text;
ALTER TABLE v_voice_messages ADD COLUMN IF NOT EXISTS cost_micros bigint;
