-- Changes of what tenants may use, and of the keys that they sign with, are told as those of other configuration are (0007).

CREATE TRIGGER voip_tenant_settings_inserted AFTER INSERT ON voip_tenant_settings BEGIN
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_tenant_settings_updated AFTER UPDATE ON voip_tenant_settings BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_tenant_settings_deleted AFTER DELETE ON voip_tenant_settings BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;

CREATE TRIGGER voip_signing_keys_inserted AFTER INSERT ON voip_signing_keys BEGIN
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_signing_keys_updated AFTER UPDATE ON voip_signing_keys BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_signing_keys_deleted AFTER DELETE ON voip_signing_keys BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;

-- One tenant's dates are read by themselves when something of it was changed.
CREATE INDEX voip_ai_calendar_dates_tenant ON voip_ai_calendar_dates (tenant_id);
