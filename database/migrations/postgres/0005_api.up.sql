-- Who may ask the HTTP API, and what each tenant may use and keeps.

CREATE TABLE voip_api_tokens (
    api_token_uuid uuid PRIMARY KEY,
    -- NULL: a token of the installation, which may name any tenant.
    domain_uuid uuid REFERENCES v_domains (domain_uuid) ON DELETE CASCADE,
    token_name text NOT NULL,
    token_role text NOT NULL CHECK (token_role IN ('viewer', 'operator', 'admin')),
    token_prefix text NOT NULL,
    -- SHA-256 of the token, in hexadecimal digits; the token itself is nowhere.
    token_hash text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);

CREATE INDEX voip_api_tokens_domain ON voip_api_tokens (domain_uuid);

-- Keys of signed tokens (RFC 7519) that a tenant's own systems sign with.
CREATE TABLE voip_signing_keys (
    domain_uuid uuid NOT NULL REFERENCES v_domains (domain_uuid) ON DELETE CASCADE,
    key_id text NOT NULL,
    -- A JSON Web Key (RFC 7517), encrypted: AES-256-GCM (Stores/SecretBox.swift).
    key_data text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (domain_uuid, key_id)
);

-- NULL: as the installation's settings have it.
CREATE TABLE voip_tenant_settings (
    domain_uuid uuid PRIMARY KEY REFERENCES v_domains (domain_uuid) ON DELETE CASCADE,
    max_calls bigint,
    -- Of a calendar month (UTC), in millionths of the currency that costs are recorded in.
    max_spend_micros bigint,
    -- Requests a minute to the HTTP API.
    max_requests bigint,
    -- Days; 0 keeps for ever.
    keep_conversations bigint,
    keep_recordings bigint,
    keep_cdr bigint,
    keep_activity bigint
);

-- A caller's calls, for filters and for their erasure; a tenant's conversations, newest first.
CREATE INDEX IF NOT EXISTS voip_cdr_caller ON voip_cdr (domain_uuid, caller_id_number);
CREATE INDEX IF NOT EXISTS v_voice_conversations_start ON v_voice_conversations (domain_uuid, start_time);
