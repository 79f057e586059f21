-- Changes of what tenants may use, and of the keys that they sign with, are told as those of other configuration are (0007).

SELECT pronto_watch(name::regclass) FROM unnest(ARRAY['voip_tenant_settings', 'voip_signing_keys']) AS name;

-- One tenant's dates are read by themselves when something of it was changed.
CREATE INDEX voip_ai_calendar_dates_tenant ON voip_ai_calendar_dates (tenant_id);
