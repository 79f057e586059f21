-- The Event Socket of the FreeSWITCH that has a tenant's channels, where it is not the one of the settings.

CREATE TABLE IF NOT EXISTS v_voice_event_sockets (
    domain_uuid uuid PRIMARY KEY REFERENCES v_domains (domain_uuid),
    esl_host text NOT NULL,
    esl_port bigint NOT NULL DEFAULT 8021,
    -- AES-256-GCM: the id of the key, then nonce, text and tag (Stores/SecretBox.swift).
    esl_password text NOT NULL,
    esl_connect_timeout_ms bigint,
    esl_read_timeout_ms bigint,
    is_enabled boolean NOT NULL DEFAULT true
);
