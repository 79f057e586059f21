-- The first tables, by the names that FusionPBX installations and the requirements use. Every row has domain_uuid.
-- Times are UTC texts as 2026-11-20T09:41:00.123Z, which sort as they follow each other.

CREATE TABLE v_domains (
    domain_uuid TEXT PRIMARY KEY,
    domain_name TEXT NOT NULL UNIQUE,
    domain_enabled INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE v_voice_ai_providers (
    voice_ai_provider_uuid TEXT PRIMARY KEY,
    domain_uuid TEXT NOT NULL REFERENCES v_domains (domain_uuid),
    provider_type TEXT NOT NULL CHECK (provider_type IN ('stt', 'tts', 'llm', 'embeddings', 'realtime')),
    provider_name TEXT NOT NULL,
    display_name TEXT,
    config TEXT NOT NULL DEFAULT '{}',
    -- AES-256-GCM: the id of the key, then nonce, text and tag (Stores/SecretBox.swift).
    secret TEXT,
    is_default INTEGER NOT NULL DEFAULT 0,
    is_enabled INTEGER NOT NULL DEFAULT 1,
    priority INTEGER NOT NULL DEFAULT 100,
    UNIQUE (domain_uuid, provider_type, provider_name)
) STRICT;

CREATE TABLE v_voice_secretaries (
    voice_secretary_uuid TEXT PRIMARY KEY,
    domain_uuid TEXT NOT NULL REFERENCES v_domains (domain_uuid),
    secretary_name TEXT NOT NULL,
    extension TEXT,
    language TEXT NOT NULL DEFAULT 'en',
    -- Both names are in use for the same thing: either one switches off.
    enabled INTEGER NOT NULL DEFAULT 1,
    is_enabled INTEGER NOT NULL DEFAULT 1,
    processing_mode TEXT NOT NULL DEFAULT 'realtime' CHECK (processing_mode IN ('turn_based', 'realtime', 'auto')),
    personality_prompt TEXT NOT NULL DEFAULT '',
    greeting_message TEXT,
    farewell_message TEXT,
    caller_speaks_first INTEGER NOT NULL DEFAULT 0,
    provider_order TEXT NOT NULL DEFAULT '[]',
    tts_voice_id TEXT,
    llm_model_override TEXT,
    llm_max_tokens INTEGER,
    vad_type TEXT NOT NULL DEFAULT 'server_vad',
    vad_eagerness TEXT NOT NULL DEFAULT 'auto',
    vad_threshold REAL,
    silence_duration_ms INTEGER,
    prefix_padding_ms INTEGER,
    barge_in_enabled INTEGER,
    barge_in_resume_ms INTEGER,
    silence_fallback_enabled INTEGER NOT NULL DEFAULT 1,
    silence_fallback_ms INTEGER NOT NULL DEFAULT 8000,
    silence_fallback_action TEXT NOT NULL DEFAULT 'reprompt' CHECK (silence_fallback_action IN ('reprompt', 'hangup')),
    silence_fallback_prompts TEXT NOT NULL DEFAULT '[]',
    silence_fallback_max_retries INTEGER NOT NULL DEFAULT 2,
    idle_timeout_seconds INTEGER,
    max_duration_seconds INTEGER,
    recording_enabled INTEGER,
    transfer_extension TEXT,
    transfer_context TEXT,
    tools TEXT NOT NULL DEFAULT '[]',
    topics TEXT NOT NULL DEFAULT '[]',
    UNIQUE (domain_uuid, secretary_name)
) STRICT;

CREATE UNIQUE INDEX v_voice_secretaries_extension ON v_voice_secretaries (domain_uuid, extension)
    WHERE extension IS NOT NULL;

CREATE TABLE v_voice_transfer_destinations (
    transfer_destination_uuid TEXT PRIMARY KEY,
    domain_uuid TEXT NOT NULL REFERENCES v_domains (domain_uuid),
    secretary_uuid TEXT REFERENCES v_voice_secretaries (voice_secretary_uuid) ON DELETE CASCADE,
    name TEXT NOT NULL,
    department TEXT,
    role TEXT,
    aliases TEXT NOT NULL DEFAULT '[]',
    description TEXT,
    destination_type TEXT NOT NULL
        CHECK (destination_type IN ('extension', 'ring_group', 'queue', 'external', 'voicemail')),
    destination_number TEXT NOT NULL,
    destination_context TEXT NOT NULL,
    ring_timeout_seconds INTEGER NOT NULL DEFAULT 30,
    priority INTEGER NOT NULL DEFAULT 100,
    is_default INTEGER NOT NULL DEFAULT 0,
    is_enabled INTEGER NOT NULL DEFAULT 1
) STRICT;

-- Two names are one to a caller, whoever may use them; NULL is not distinct here.
CREATE UNIQUE INDEX v_voice_transfer_destinations_name
    ON v_voice_transfer_destinations (domain_uuid, ifnull(secretary_uuid, ''), name);

CREATE TABLE v_voice_conversations (
    voice_conversation_uuid TEXT PRIMARY KEY,
    domain_uuid TEXT NOT NULL,
    voice_secretary_uuid TEXT,
    call_uuid TEXT NOT NULL,
    start_time TEXT NOT NULL,
    end_time TEXT NOT NULL,
    duration_seconds INTEGER NOT NULL,
    processing_mode TEXT NOT NULL,
    language TEXT,
    total_turns INTEGER NOT NULL,
    final_action TEXT NOT NULL
) STRICT;

CREATE INDEX v_voice_conversations_call ON v_voice_conversations (domain_uuid, call_uuid);

CREATE TABLE v_voice_messages (
    voice_conversation_uuid TEXT NOT NULL REFERENCES v_voice_conversations (voice_conversation_uuid) ON DELETE CASCADE,
    turn_number INTEGER NOT NULL,
    domain_uuid TEXT NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    content_heard TEXT,
    heard_ms INTEGER,
    was_interrupted INTEGER NOT NULL DEFAULT 0,
    latency_ms INTEGER,
    provider_used TEXT,
    start_time TEXT NOT NULL,
    end_time TEXT NOT NULL,
    PRIMARY KEY (voice_conversation_uuid, turn_number)
) STRICT;

CREATE TABLE v_voice_tool_uses (
    voice_conversation_uuid TEXT NOT NULL REFERENCES v_voice_conversations (voice_conversation_uuid) ON DELETE CASCADE,
    tool_number INTEGER NOT NULL,
    domain_uuid TEXT NOT NULL,
    tool_name TEXT NOT NULL,
    arguments TEXT NOT NULL,
    result TEXT,
    outcome TEXT NOT NULL,
    start_time TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY (voice_conversation_uuid, tool_number)
) STRICT;

CREATE TABLE voip_cdr (
    domain_uuid TEXT NOT NULL,
    call_uuid TEXT NOT NULL,
    -- In the key because a channel that comes back from a transfer has the same id again.
    start_time TEXT NOT NULL,
    answer_time TEXT,
    end_time TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    voice_secretary_uuid TEXT,
    direction TEXT NOT NULL,
    caller_id_number TEXT,
    destination_number TEXT,
    dialect TEXT,
    providers TEXT NOT NULL DEFAULT '[]',
    hangup_cause_q850 INTEGER NOT NULL,
    hangup_cause TEXT NOT NULL,
    fault TEXT NOT NULL,
    reason TEXT NOT NULL,
    spoken_fallback TEXT NOT NULL,
    transfer_name TEXT,
    transfer_extension TEXT,
    transfer_context TEXT,
    recording_path TEXT,
    underruns INTEGER NOT NULL DEFAULT 0,
    barge_ins INTEGER NOT NULL DEFAULT 0,
    false_interruptions INTEGER NOT NULL DEFAULT 0,
    latency_p50_ms INTEGER,
    latency_p95_ms INTEGER,
    uplink_bytes INTEGER NOT NULL DEFAULT 0,
    downlink_bytes INTEGER NOT NULL DEFAULT 0,
    input_text_tokens INTEGER NOT NULL DEFAULT 0,
    input_audio_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    output_text_tokens INTEGER NOT NULL DEFAULT 0,
    output_audio_tokens INTEGER NOT NULL DEFAULT 0,
    node TEXT,
    PRIMARY KEY (domain_uuid, call_uuid, start_time)
) STRICT;

CREATE INDEX voip_cdr_start ON voip_cdr (domain_uuid, start_time);
