-- What an RTP leg measured of the network (RFC 3550); empty for legs that measure nothing.
ALTER TABLE voip_cdr ADD COLUMN packets_received INTEGER;
ALTER TABLE voip_cdr ADD COLUMN packets_lost INTEGER;
ALTER TABLE voip_cdr ADD COLUMN packets_late INTEGER;
ALTER TABLE voip_cdr ADD COLUMN jitter_us INTEGER;
ALTER TABLE voip_cdr ADD COLUMN round_trip_us INTEGER;
ALTER TABLE voip_cdr ADD COLUMN mos_hundredths INTEGER;
