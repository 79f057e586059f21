-- Who answers, and when (requirements 2): docs/routing.md. Times are UTC texts; JSON is text.

-- What holds for every trunk of a tenant.
CREATE TABLE voip_ai_tenants (
    tenant_id TEXT PRIMARY KEY REFERENCES v_domains (domain_uuid),
    -- 39, 55: how national numbers are written out.
    country_code TEXT,
    time_zone TEXT,
    fallback_target_type TEXT,
    fallback_target_ref TEXT
) STRICT;

CREATE TABLE ai_agents (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES v_domains (domain_uuid),
    name TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1,
    model TEXT,
    gateway_url TEXT,
    tools_profile TEXT,
    system_prompt TEXT,
    -- The assistant that it speaks as; NULL: it is one itself.
    secretary_uuid TEXT REFERENCES v_voice_secretaries (voice_secretary_uuid),
    UNIQUE (tenant_id, name)
) STRICT;

CREATE TABLE voip_ai_calendars (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES v_domains (domain_uuid),
    name TEXT NOT NULL,
    time_zone TEXT,
    UNIQUE (tenant_id, name)
) STRICT;

CREATE TABLE voip_ai_calendar_dates (
    calendar_id TEXT NOT NULL REFERENCES voip_ai_calendars (id) ON DELETE CASCADE,
    date_number INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    name TEXT,
    mode TEXT NOT NULL DEFAULT 'closed',
    -- 2026-12-25, or 12-25 for each year; the last day included.
    date_from TEXT NOT NULL,
    date_to TEXT NOT NULL,
    start_time TEXT,
    end_time TEXT,
    PRIMARY KEY (calendar_id, date_number)
) STRICT;

CREATE TABLE voip_trunk_ai_settings (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES v_domains (domain_uuid),
    -- NULL: every trunk, every store.
    trunk_id TEXT,
    store_id TEXT,
    enabled INTEGER NOT NULL DEFAULT 1,
    time_windows TEXT,
    calendar_ids TEXT,
    did_allowlist TEXT,
    did_blocklist TEXT,
    agent_id TEXT REFERENCES ai_agents (id),
    fallback_target_type TEXT,
    fallback_target_ref TEXT,
    language TEXT,
    tts_voice TEXT,
    barge_in INTEGER,
    max_ai_minutes INTEGER,
    recording TEXT,
    meta TEXT
) STRICT;

CREATE INDEX voip_trunk_ai_settings_tenant ON voip_trunk_ai_settings (tenant_id, trunk_id);

CREATE TABLE voip_activity_log (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    call_id TEXT,
    trunk_id TEXT,
    -- As PRONTO_ACTIVITY_NUMBERS leaves it.
    did TEXT,
    mode TEXT NOT NULL,
    reason TEXT NOT NULL,
    settings_id TEXT,
    agent_id TEXT,
    latency_us INTEGER NOT NULL,
    node TEXT
) STRICT;

CREATE INDEX voip_activity_log_time ON voip_activity_log (tenant_id, created_at);
