-- Who answers, and when (requirements 2): docs/routing.md.
-- A table that exists already is adopted, as in 0001: its rows and its own columns stay, what it lacks is added.

CREATE TEMPORARY TABLE pronto_found_routing ON COMMIT DROP AS
    SELECT name FROM unnest(ARRAY[
        'voip_ai_tenants', 'ai_agents', 'voip_ai_calendars', 'voip_ai_calendar_dates', 'voip_trunk_ai_settings',
        'voip_activity_log'
    ]) AS name WHERE to_regclass(name) IS NOT NULL;

-- What holds for every trunk of a tenant.
CREATE TABLE IF NOT EXISTS voip_ai_tenants (
    tenant_id uuid PRIMARY KEY REFERENCES v_domains (domain_uuid),
    -- 39, 55: how national numbers are written out.
    country_code text,
    time_zone text,
    fallback_target_type text,
    fallback_target_ref text
);
ALTER TABLE voip_ai_tenants
    ADD COLUMN IF NOT EXISTS country_code text,
    ADD COLUMN IF NOT EXISTS time_zone text,
    ADD COLUMN IF NOT EXISTS fallback_target_type text,
    ADD COLUMN IF NOT EXISTS fallback_target_ref text;

CREATE TABLE IF NOT EXISTS ai_agents (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES v_domains (domain_uuid),
    name text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    model text,
    gateway_url text,
    tools_profile text,
    system_prompt text,
    -- The assistant that it speaks as; NULL: it is one itself.
    secretary_uuid uuid REFERENCES v_voice_secretaries (voice_secretary_uuid),
    UNIQUE (tenant_id, name)
);
ALTER TABLE ai_agents
    ADD COLUMN IF NOT EXISTS tenant_id uuid,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS enabled boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS model text,
    ADD COLUMN IF NOT EXISTS gateway_url text,
    ADD COLUMN IF NOT EXISTS tools_profile text,
    ADD COLUMN IF NOT EXISTS system_prompt text,
    ADD COLUMN IF NOT EXISTS secretary_uuid uuid;

CREATE TABLE IF NOT EXISTS voip_ai_calendars (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES v_domains (domain_uuid),
    name text NOT NULL,
    time_zone text,
    UNIQUE (tenant_id, name)
);
ALTER TABLE voip_ai_calendars
    ADD COLUMN IF NOT EXISTS tenant_id uuid,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS time_zone text;

CREATE TABLE IF NOT EXISTS voip_ai_calendar_dates (
    calendar_id uuid NOT NULL REFERENCES voip_ai_calendars (id) ON DELETE CASCADE,
    date_number bigint NOT NULL,
    tenant_id uuid NOT NULL,
    name text,
    mode text NOT NULL DEFAULT 'closed',
    -- 2026-12-25, or 12-25 for each year; the last day included.
    date_from text NOT NULL,
    date_to text NOT NULL,
    start_time text,
    end_time text,
    PRIMARY KEY (calendar_id, date_number)
);
ALTER TABLE voip_ai_calendar_dates
    ADD COLUMN IF NOT EXISTS date_number bigint,
    ADD COLUMN IF NOT EXISTS tenant_id uuid,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS mode text NOT NULL DEFAULT 'closed',
    ADD COLUMN IF NOT EXISTS date_from text,
    ADD COLUMN IF NOT EXISTS date_to text,
    ADD COLUMN IF NOT EXISTS start_time text,
    ADD COLUMN IF NOT EXISTS end_time text;

CREATE TABLE IF NOT EXISTS voip_trunk_ai_settings (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES v_domains (domain_uuid),
    -- NULL: every trunk, every store.
    trunk_id text,
    store_id text,
    enabled boolean NOT NULL DEFAULT true,
    time_windows jsonb,
    calendar_ids jsonb,
    did_allowlist jsonb,
    did_blocklist jsonb,
    agent_id uuid REFERENCES ai_agents (id),
    fallback_target_type text,
    fallback_target_ref text,
    language text,
    tts_voice text,
    barge_in boolean,
    max_ai_minutes bigint,
    recording text,
    meta jsonb
);
ALTER TABLE voip_trunk_ai_settings
    ADD COLUMN IF NOT EXISTS tenant_id uuid,
    ADD COLUMN IF NOT EXISTS trunk_id text,
    ADD COLUMN IF NOT EXISTS store_id text,
    ADD COLUMN IF NOT EXISTS enabled boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS time_windows jsonb,
    ADD COLUMN IF NOT EXISTS calendar_ids jsonb,
    ADD COLUMN IF NOT EXISTS did_allowlist jsonb,
    ADD COLUMN IF NOT EXISTS did_blocklist jsonb,
    ADD COLUMN IF NOT EXISTS agent_id uuid,
    ADD COLUMN IF NOT EXISTS fallback_target_type text,
    ADD COLUMN IF NOT EXISTS fallback_target_ref text,
    ADD COLUMN IF NOT EXISTS language text,
    ADD COLUMN IF NOT EXISTS tts_voice text,
    ADD COLUMN IF NOT EXISTS barge_in boolean,
    ADD COLUMN IF NOT EXISTS max_ai_minutes bigint,
    ADD COLUMN IF NOT EXISTS recording text,
    ADD COLUMN IF NOT EXISTS meta jsonb;

CREATE INDEX IF NOT EXISTS voip_trunk_ai_settings_tenant ON voip_trunk_ai_settings (tenant_id, trunk_id);

CREATE TABLE IF NOT EXISTS voip_activity_log (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    call_id text,
    trunk_id text,
    -- As PRONTO_ACTIVITY_NUMBERS leaves it.
    did text,
    mode text NOT NULL,
    reason text NOT NULL,
    settings_id uuid,
    agent_id uuid,
    latency_us bigint NOT NULL,
    node text
);
ALTER TABLE voip_activity_log
    ADD COLUMN IF NOT EXISTS tenant_id uuid,
    ADD COLUMN IF NOT EXISTS created_at timestamptz,
    ADD COLUMN IF NOT EXISTS call_id text,
    ADD COLUMN IF NOT EXISTS trunk_id text,
    ADD COLUMN IF NOT EXISTS did text,
    ADD COLUMN IF NOT EXISTS mode text,
    ADD COLUMN IF NOT EXISTS reason text,
    ADD COLUMN IF NOT EXISTS settings_id uuid,
    ADD COLUMN IF NOT EXISTS agent_id uuid,
    ADD COLUMN IF NOT EXISTS latency_us bigint,
    ADD COLUMN IF NOT EXISTS node text;

CREATE INDEX IF NOT EXISTS voip_activity_log_time ON voip_activity_log (tenant_id, created_at);

-- Whose is whose, for the way back. A comment that somebody made stays.
DO $$
DECLARE
    made text;
BEGIN
    FOREACH made IN ARRAY ARRAY['voip_ai_tenants', 'ai_agents', 'voip_ai_calendars', 'voip_ai_calendar_dates',
        'voip_trunk_ai_settings', 'voip_activity_log'] LOOP
        IF made NOT IN (SELECT name FROM pronto_found_routing) THEN
            EXECUTE format('COMMENT ON TABLE %I IS ''Made by Pronto''', made);
        ELSIF obj_description(to_regclass(made), 'pg_class') IS NULL THEN
            EXECUTE format('COMMENT ON TABLE %I IS ''Adopted by Pronto''', made);
        END IF;
    END LOOP;
END $$;
