-- Who may ask the HTTP API, and what each tenant may use and keeps.

CREATE TABLE voip_api_tokens (
    api_token_uuid TEXT PRIMARY KEY,
    -- NULL: a token of the installation, which may name any tenant.
    domain_uuid TEXT REFERENCES v_domains (domain_uuid) ON DELETE CASCADE,
    token_name TEXT NOT NULL,
    token_role TEXT NOT NULL CHECK (token_role IN ('viewer', 'operator', 'admin')),
    token_prefix TEXT NOT NULL,
    -- SHA-256 of the token, in hexadecimal digits; the token itself is nowhere.
    token_hash TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    last_used_at TEXT,
    revoked_at TEXT
) STRICT;

CREATE INDEX voip_api_tokens_domain ON voip_api_tokens (domain_uuid);

-- Keys of signed tokens (RFC 7519) that a tenant's own systems sign with.
CREATE TABLE voip_signing_keys (
    domain_uuid TEXT NOT NULL REFERENCES v_domains (domain_uuid) ON DELETE CASCADE,
    key_id TEXT NOT NULL,
    -- A JSON Web Key (RFC 7517), encrypted: AES-256-GCM (Stores/SecretBox.swift).
    key_data TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (domain_uuid, key_id)
) STRICT;

-- NULL: as the installation's settings have it.
CREATE TABLE voip_tenant_settings (
    domain_uuid TEXT PRIMARY KEY REFERENCES v_domains (domain_uuid) ON DELETE CASCADE,
    max_calls INTEGER,
    -- Of a calendar month (UTC), in millionths of the currency that costs are recorded in.
    max_spend_micros INTEGER,
    -- Requests a minute to the HTTP API.
    max_requests INTEGER,
    -- Days; 0 keeps for ever.
    keep_conversations INTEGER,
    keep_recordings INTEGER,
    keep_cdr INTEGER,
    keep_activity INTEGER
) STRICT;

-- A caller's calls, for filters and for their erasure; a tenant's conversations, newest first.
CREATE INDEX voip_cdr_caller ON voip_cdr (domain_uuid, caller_id_number);
CREATE INDEX v_voice_conversations_start ON v_voice_conversations (domain_uuid, start_time);
