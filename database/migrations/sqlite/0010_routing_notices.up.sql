-- Changes of routing rows are told as those of other configuration are (0007): by tenant, by whatever program.

CREATE TRIGGER voip_ai_tenants_inserted AFTER INSERT ON voip_ai_tenants BEGIN
    INSERT INTO pronto_changes VALUES (NEW.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_ai_tenants_updated AFTER UPDATE ON voip_ai_tenants BEGIN
    INSERT INTO pronto_changes VALUES (OLD.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_ai_tenants_deleted AFTER DELETE ON voip_ai_tenants BEGIN
    INSERT INTO pronto_changes VALUES (OLD.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;

CREATE TRIGGER ai_agents_inserted AFTER INSERT ON ai_agents BEGIN
    INSERT INTO pronto_changes VALUES (NEW.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER ai_agents_updated AFTER UPDATE ON ai_agents BEGIN
    INSERT INTO pronto_changes VALUES (OLD.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER ai_agents_deleted AFTER DELETE ON ai_agents BEGIN
    INSERT INTO pronto_changes VALUES (OLD.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;

CREATE TRIGGER voip_ai_calendars_inserted AFTER INSERT ON voip_ai_calendars BEGIN
    INSERT INTO pronto_changes VALUES (NEW.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_ai_calendars_updated AFTER UPDATE ON voip_ai_calendars BEGIN
    INSERT INTO pronto_changes VALUES (OLD.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_ai_calendars_deleted AFTER DELETE ON voip_ai_calendars BEGIN
    INSERT INTO pronto_changes VALUES (OLD.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;

CREATE TRIGGER voip_ai_calendar_dates_inserted AFTER INSERT ON voip_ai_calendar_dates BEGIN
    INSERT INTO pronto_changes VALUES (NEW.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_ai_calendar_dates_updated AFTER UPDATE ON voip_ai_calendar_dates BEGIN
    INSERT INTO pronto_changes VALUES (OLD.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_ai_calendar_dates_deleted AFTER DELETE ON voip_ai_calendar_dates BEGIN
    INSERT INTO pronto_changes VALUES (OLD.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;

CREATE TRIGGER voip_trunk_ai_settings_inserted AFTER INSERT ON voip_trunk_ai_settings BEGIN
    INSERT INTO pronto_changes VALUES (NEW.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_trunk_ai_settings_updated AFTER UPDATE ON voip_trunk_ai_settings BEGIN
    INSERT INTO pronto_changes VALUES (OLD.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER voip_trunk_ai_settings_deleted AFTER DELETE ON voip_trunk_ai_settings BEGIN
    INSERT INTO pronto_changes VALUES (OLD.tenant_id, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
