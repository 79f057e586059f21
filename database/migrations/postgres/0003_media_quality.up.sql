-- What an RTP leg measured of the network (RFC 3550); empty for legs that measure nothing.
ALTER TABLE voip_cdr ADD COLUMN packets_received bigint;
ALTER TABLE voip_cdr ADD COLUMN packets_lost bigint;
ALTER TABLE voip_cdr ADD COLUMN packets_late bigint;
ALTER TABLE voip_cdr ADD COLUMN jitter_us bigint;
ALTER TABLE voip_cdr ADD COLUMN round_trip_us bigint;
ALTER TABLE voip_cdr ADD COLUMN mos_hundredths bigint;
