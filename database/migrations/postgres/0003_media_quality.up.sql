-- What an RTP leg measured of the network (RFC 3550); empty for legs that measure nothing.
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS packets_received bigint;
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS packets_lost bigint;
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS packets_late bigint;
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS jitter_us bigint;
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS round_trip_us bigint;
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS mos_hundredths bigint;
