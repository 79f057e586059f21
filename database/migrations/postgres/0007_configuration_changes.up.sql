-- Who changed a tenant's configuration, by whatever program, is told to every gateway that listens; and `enabled` and
-- `is_enabled`, both in use for the same thing, are held equal.

CREATE FUNCTION pronto_one_switch() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    -- As texts: in a table of FusionPBX's making one of them may be one. Empty is on.
    is_off boolean := lower(coalesce(NEW.enabled::text, 'true')) IN ('false', 'f', 'no', 'n', 'off', '0');
    also_off boolean := lower(coalesce(NEW.is_enabled::text, 'true')) IN ('false', 'f', 'no', 'n', 'off', '0');
    turns_off boolean := is_off OR also_off;
BEGIN
    -- The one that was changed is meant; of a new row, and where both were changed, the one that is off.
    IF TG_OP = 'UPDATE' THEN
        IF NEW.is_enabled IS NOT DISTINCT FROM OLD.is_enabled THEN
            turns_off := is_off;
        ELSIF NEW.enabled IS NOT DISTINCT FROM OLD.enabled THEN
            turns_off := also_off;
        END IF;
    END IF;
    NEW.enabled := NOT turns_off;
    NEW.is_enabled := NOT turns_off;
    RETURN NEW;
END $$;

CREATE TRIGGER pronto_one_switch BEFORE INSERT OR UPDATE ON v_voice_secretaries
    FOR EACH ROW EXECUTE FUNCTION pronto_one_switch();

-- One notice for each tenant that a statement touched; for very many one that means all.
CREATE FUNCTION pronto_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    tenants text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT domain_uuid::text) INTO tenants FROM new_rows;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT domain_uuid::text) INTO tenants FROM old_rows;
    ELSIF TG_OP = 'UPDATE' THEN
        SELECT array_agg(DISTINCT t) INTO tenants
            FROM (SELECT domain_uuid::text AS t FROM new_rows UNION SELECT domain_uuid::text FROM old_rows) AS both_rows;
    ELSE
        tenants := ARRAY['*'];
    END IF;
    IF cardinality(tenants) > 100 THEN
        tenants := ARRAY['*'];
    END IF;
    PERFORM pg_notify('pronto_configuration', t) FROM unnest(tenants) AS t WHERE t IS NOT NULL;
    RETURN NULL;
END $$;

-- Has the gateways told of every change of a table that has domain_uuid. Later migrations call it for tables of theirs.
CREATE FUNCTION pronto_watch(watched regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER pronto_inserted AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION pronto_changed()', watched);
    EXECUTE format('CREATE TRIGGER pronto_updated AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION pronto_changed()', watched);
    EXECUTE format('CREATE TRIGGER pronto_deleted AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION pronto_changed()', watched);
    EXECUTE format('CREATE TRIGGER pronto_emptied AFTER TRUNCATE ON %s
        FOR EACH STATEMENT EXECUTE FUNCTION pronto_changed()', watched);
EXCEPTION WHEN insufficient_privilege THEN
    -- FusionPBX's v_domains may belong to another user. Polling sees its changes then.
    RAISE NOTICE 'no triggers on %: it belongs to another user', watched;
END $$;

SELECT pronto_watch(name::regclass) FROM unnest(ARRAY[
    'v_domains', 'v_voice_secretaries', 'v_voice_transfer_destinations', 'v_voice_ai_providers', 'v_voice_event_sockets'
]) AS name;
