-- The first tables, by the names that FusionPBX installations and the requirements use. Every row has domain_uuid.
-- Written for an empty database; beside FusionPBX, whose v_domains exists, the first table is skipped.
-- No program uses these files yet (the PostgreSQL store is a later issue): a test keeps their columns equal to SQLite's.

CREATE TABLE IF NOT EXISTS v_domains (
    domain_uuid uuid PRIMARY KEY,
    domain_name text NOT NULL UNIQUE,
    domain_enabled boolean NOT NULL DEFAULT true
);

CREATE TABLE v_voice_ai_providers (
    voice_ai_provider_uuid uuid PRIMARY KEY,
    domain_uuid uuid NOT NULL REFERENCES v_domains (domain_uuid),
    provider_type text NOT NULL CHECK (provider_type IN ('stt', 'tts', 'llm', 'embeddings', 'realtime')),
    provider_name text NOT NULL,
    display_name text,
    config jsonb NOT NULL DEFAULT '{}',
    -- AES-256-GCM: the id of the key, then nonce, text and tag (Stores/SecretBox.swift).
    secret text,
    is_default boolean NOT NULL DEFAULT false,
    is_enabled boolean NOT NULL DEFAULT true,
    priority bigint NOT NULL DEFAULT 100,
    UNIQUE (domain_uuid, provider_type, provider_name)
);

CREATE TABLE v_voice_secretaries (
    voice_secretary_uuid uuid PRIMARY KEY,
    domain_uuid uuid NOT NULL REFERENCES v_domains (domain_uuid),
    secretary_name text NOT NULL,
    extension text,
    language text NOT NULL DEFAULT 'en',
    -- Both names are in use for the same thing: either one switches off.
    enabled boolean NOT NULL DEFAULT true,
    is_enabled boolean NOT NULL DEFAULT true,
    processing_mode text NOT NULL DEFAULT 'realtime' CHECK (processing_mode IN ('turn_based', 'realtime', 'auto')),
    personality_prompt text NOT NULL DEFAULT '',
    greeting_message text,
    farewell_message text,
    caller_speaks_first boolean NOT NULL DEFAULT false,
    provider_order jsonb NOT NULL DEFAULT '[]',
    tts_voice_id text,
    llm_model_override text,
    llm_max_tokens bigint,
    vad_type text NOT NULL DEFAULT 'server_vad',
    vad_eagerness text NOT NULL DEFAULT 'auto',
    vad_threshold double precision,
    silence_duration_ms bigint,
    prefix_padding_ms bigint,
    barge_in_enabled boolean,
    barge_in_resume_ms bigint,
    silence_fallback_enabled boolean NOT NULL DEFAULT true,
    silence_fallback_ms bigint NOT NULL DEFAULT 8000,
    silence_fallback_action text NOT NULL DEFAULT 'reprompt' CHECK (silence_fallback_action IN ('reprompt', 'hangup')),
    silence_fallback_prompts jsonb NOT NULL DEFAULT '[]',
    silence_fallback_max_retries bigint NOT NULL DEFAULT 2,
    idle_timeout_seconds bigint,
    max_duration_seconds bigint,
    recording_enabled boolean,
    transfer_extension text,
    transfer_context text,
    tools jsonb NOT NULL DEFAULT '[]',
    topics jsonb NOT NULL DEFAULT '[]',
    UNIQUE (domain_uuid, secretary_name)
);

CREATE UNIQUE INDEX v_voice_secretaries_extension ON v_voice_secretaries (domain_uuid, extension)
    WHERE extension IS NOT NULL;

CREATE TABLE v_voice_transfer_destinations (
    transfer_destination_uuid uuid PRIMARY KEY,
    domain_uuid uuid NOT NULL REFERENCES v_domains (domain_uuid),
    secretary_uuid uuid REFERENCES v_voice_secretaries (voice_secretary_uuid) ON DELETE CASCADE,
    name text NOT NULL,
    department text,
    role text,
    aliases jsonb NOT NULL DEFAULT '[]',
    description text,
    destination_type text NOT NULL
        CHECK (destination_type IN ('extension', 'ring_group', 'queue', 'external', 'voicemail')),
    destination_number text NOT NULL,
    destination_context text NOT NULL,
    ring_timeout_seconds bigint NOT NULL DEFAULT 30,
    priority bigint NOT NULL DEFAULT 100,
    is_default boolean NOT NULL DEFAULT false,
    is_enabled boolean NOT NULL DEFAULT true
);

-- Two names are one to a caller, whoever may use them; NULL is not distinct here.
CREATE UNIQUE INDEX v_voice_transfer_destinations_name
    ON v_voice_transfer_destinations (domain_uuid, coalesce(secretary_uuid, '00000000-0000-0000-0000-000000000000'), name);

CREATE TABLE v_voice_conversations (
    voice_conversation_uuid uuid PRIMARY KEY,
    domain_uuid uuid NOT NULL,
    voice_secretary_uuid uuid,
    call_uuid text NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    duration_seconds bigint NOT NULL,
    processing_mode text NOT NULL,
    language text,
    total_turns bigint NOT NULL,
    final_action text NOT NULL
);

CREATE INDEX v_voice_conversations_call ON v_voice_conversations (domain_uuid, call_uuid);

CREATE TABLE v_voice_messages (
    voice_conversation_uuid uuid NOT NULL REFERENCES v_voice_conversations (voice_conversation_uuid) ON DELETE CASCADE,
    turn_number bigint NOT NULL,
    domain_uuid uuid NOT NULL,
    role text NOT NULL,
    content text NOT NULL,
    content_heard text,
    heard_ms bigint,
    was_interrupted boolean NOT NULL DEFAULT false,
    latency_ms bigint,
    provider_used text,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    PRIMARY KEY (voice_conversation_uuid, turn_number)
);

CREATE TABLE v_voice_tool_uses (
    voice_conversation_uuid uuid NOT NULL REFERENCES v_voice_conversations (voice_conversation_uuid) ON DELETE CASCADE,
    tool_number bigint NOT NULL,
    domain_uuid uuid NOT NULL,
    tool_name text NOT NULL,
    arguments text NOT NULL,
    result text,
    outcome text NOT NULL,
    start_time timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    PRIMARY KEY (voice_conversation_uuid, tool_number)
);

CREATE TABLE voip_cdr (
    domain_uuid uuid NOT NULL,
    call_uuid text NOT NULL,
    -- In the key because a channel that comes back from a transfer has the same id again.
    start_time timestamptz NOT NULL,
    answer_time timestamptz,
    end_time timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    voice_secretary_uuid uuid,
    direction text NOT NULL,
    caller_id_number text,
    destination_number text,
    dialect text,
    providers jsonb NOT NULL DEFAULT '[]',
    hangup_cause_q850 bigint NOT NULL,
    hangup_cause text NOT NULL,
    fault text NOT NULL,
    reason text NOT NULL,
    spoken_fallback text NOT NULL,
    transfer_name text,
    transfer_extension text,
    transfer_context text,
    recording_path text,
    underruns bigint NOT NULL DEFAULT 0,
    barge_ins bigint NOT NULL DEFAULT 0,
    false_interruptions bigint NOT NULL DEFAULT 0,
    latency_p50_ms bigint,
    latency_p95_ms bigint,
    uplink_bytes bigint NOT NULL DEFAULT 0,
    downlink_bytes bigint NOT NULL DEFAULT 0,
    input_text_tokens bigint NOT NULL DEFAULT 0,
    input_audio_tokens bigint NOT NULL DEFAULT 0,
    cached_tokens bigint NOT NULL DEFAULT 0,
    output_text_tokens bigint NOT NULL DEFAULT 0,
    output_audio_tokens bigint NOT NULL DEFAULT 0,
    node text,
    PRIMARY KEY (domain_uuid, call_uuid, start_time)
);

CREATE INDEX voip_cdr_start ON voip_cdr (domain_uuid, start_time);
