-- Who answers, and when (requirements 2): docs/routing.md.

-- What holds for every trunk of a tenant.
CREATE TABLE voip_ai_tenants (
    tenant_id uuid PRIMARY KEY REFERENCES v_domains (domain_uuid),
    -- 39, 55: how national numbers are written out.
    country_code text,
    time_zone text,
    fallback_target_type text,
    fallback_target_ref text
);

CREATE TABLE ai_agents (
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

CREATE TABLE voip_ai_calendars (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES v_domains (domain_uuid),
    name text NOT NULL,
    time_zone text,
    UNIQUE (tenant_id, name)
);

CREATE TABLE voip_ai_calendar_dates (
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

CREATE TABLE voip_trunk_ai_settings (
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

CREATE INDEX voip_trunk_ai_settings_tenant ON voip_trunk_ai_settings (tenant_id, trunk_id);

CREATE TABLE voip_activity_log (
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

CREATE INDEX voip_activity_log_time ON voip_activity_log (tenant_id, created_at);
