-- The Event Socket of the FreeSWITCH that has a tenant's channels, where it is not the one of the settings.

CREATE TABLE v_voice_event_sockets (
    domain_uuid TEXT PRIMARY KEY REFERENCES v_domains (domain_uuid),
    esl_host TEXT NOT NULL,
    esl_port INTEGER NOT NULL DEFAULT 8021,
    -- AES-256-GCM: the id of the key, then nonce, text and tag (Stores/SecretBox.swift).
    esl_password TEXT NOT NULL,
    esl_connect_timeout_ms INTEGER,
    esl_read_timeout_ms INTEGER,
    is_enabled INTEGER NOT NULL DEFAULT 1
) STRICT;
