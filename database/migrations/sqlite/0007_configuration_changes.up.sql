-- Which tenants' configuration was changed, by whatever program, in the order of `number`: a gateway reads what is new to it.
CREATE TABLE pronto_changes (
    domain_uuid TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;
CREATE INDEX pronto_changes_number ON pronto_changes (number);

CREATE TRIGGER v_domains_inserted AFTER INSERT ON v_domains BEGIN
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER v_domains_updated AFTER UPDATE ON v_domains BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER v_domains_deleted AFTER DELETE ON v_domains BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;

CREATE TRIGGER v_voice_secretaries_inserted AFTER INSERT ON v_voice_secretaries BEGIN
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER v_voice_secretaries_updated AFTER UPDATE ON v_voice_secretaries BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER v_voice_secretaries_deleted AFTER DELETE ON v_voice_secretaries BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;

CREATE TRIGGER v_voice_transfer_destinations_inserted AFTER INSERT ON v_voice_transfer_destinations BEGIN
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER v_voice_transfer_destinations_updated AFTER UPDATE ON v_voice_transfer_destinations BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER v_voice_transfer_destinations_deleted AFTER DELETE ON v_voice_transfer_destinations BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;

CREATE TRIGGER v_voice_ai_providers_inserted AFTER INSERT ON v_voice_ai_providers BEGIN
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER v_voice_ai_providers_updated AFTER UPDATE ON v_voice_ai_providers BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER v_voice_ai_providers_deleted AFTER DELETE ON v_voice_ai_providers BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;

CREATE TRIGGER v_voice_event_sockets_inserted AFTER INSERT ON v_voice_event_sockets BEGIN
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER v_voice_event_sockets_updated AFTER UPDATE ON v_voice_event_sockets BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
    INSERT INTO pronto_changes VALUES (NEW.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;
CREATE TRIGGER v_voice_event_sockets_deleted AFTER DELETE ON v_voice_event_sockets BEGIN
    INSERT INTO pronto_changes VALUES (OLD.domain_uuid, (SELECT coalesce(max(number), 0) + 1 FROM pronto_changes))
        ON CONFLICT (domain_uuid) DO UPDATE SET number = excluded.number;
END;

-- `enabled` and `is_enabled`, both in use for the same thing, are held equal: the one that was changed is meant; of a new row
-- the one that is off.
CREATE TRIGGER v_voice_secretaries_switched AFTER UPDATE OF enabled ON v_voice_secretaries
    WHEN NEW.enabled <> OLD.enabled AND NEW.enabled <> NEW.is_enabled BEGIN
    UPDATE v_voice_secretaries SET is_enabled = NEW.enabled WHERE voice_secretary_uuid = NEW.voice_secretary_uuid;
END;
CREATE TRIGGER v_voice_secretaries_also_switched AFTER UPDATE OF is_enabled ON v_voice_secretaries
    WHEN NEW.is_enabled <> OLD.is_enabled AND NEW.enabled <> NEW.is_enabled BEGIN
    UPDATE v_voice_secretaries SET enabled = NEW.is_enabled WHERE voice_secretary_uuid = NEW.voice_secretary_uuid;
END;
CREATE TRIGGER v_voice_secretaries_new_switched AFTER INSERT ON v_voice_secretaries
    WHEN NEW.enabled <> NEW.is_enabled BEGIN
    UPDATE v_voice_secretaries SET enabled = 0, is_enabled = 0 WHERE voice_secretary_uuid = NEW.voice_secretary_uuid;
END;
