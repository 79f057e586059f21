ALTER TABLE voip_cdr DROP COLUMN mos_hundredths;
ALTER TABLE voip_cdr DROP COLUMN round_trip_us;
ALTER TABLE voip_cdr DROP COLUMN jitter_us;
ALTER TABLE voip_cdr DROP COLUMN packets_late;
ALTER TABLE voip_cdr DROP COLUMN packets_lost;
ALTER TABLE voip_cdr DROP COLUMN packets_received;
