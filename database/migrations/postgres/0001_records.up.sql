-- The first tables, by the names that FusionPBX installations and the requirements use. Every row has domain_uuid.
-- A table that exists already, FusionPBX's or an older system's of the same name, is adopted: its rows and its own columns
-- stay as they are, and the columns that it lacks are added.

-- What was here before us: it stays when the migration is taken back.
CREATE TEMPORARY TABLE pronto_found ON COMMIT DROP AS
    SELECT name FROM unnest(ARRAY[
        'v_voice_ai_providers', 'v_voice_secretaries', 'v_voice_transfer_destinations', 'v_voice_conversations',
        'v_voice_messages', 'v_voice_tool_uses', 'voip_cdr'
    ]) AS name WHERE to_regclass(name) IS NOT NULL;

CREATE TABLE IF NOT EXISTS v_domains (
    domain_uuid uuid PRIMARY KEY,
    domain_name text NOT NULL UNIQUE,
    domain_enabled boolean NOT NULL DEFAULT true
);

CREATE TABLE IF NOT EXISTS v_voice_ai_providers (
    voice_ai_provider_uuid uuid PRIMARY KEY,
    domain_uuid uuid NOT NULL REFERENCES v_domains (domain_uuid),
    provider_type text NOT NULL CHECK (provider_type IN ('stt', 'tts', 'llm', 'embeddings', 'realtime')),
    provider_name text NOT NULL
);
ALTER TABLE v_voice_ai_providers
    ADD COLUMN IF NOT EXISTS display_name text,
    ADD COLUMN IF NOT EXISTS config jsonb NOT NULL DEFAULT '{}',
    -- AES-256-GCM: the id of the key, then nonce, text and tag (Stores/SecretBox.swift).
    ADD COLUMN IF NOT EXISTS secret text,
    ADD COLUMN IF NOT EXISTS is_default boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS is_enabled boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS priority bigint NOT NULL DEFAULT 100;
CREATE UNIQUE INDEX IF NOT EXISTS v_voice_ai_providers_name
    ON v_voice_ai_providers (domain_uuid, provider_type, provider_name);

CREATE TABLE IF NOT EXISTS v_voice_secretaries (
    voice_secretary_uuid uuid PRIMARY KEY,
    domain_uuid uuid NOT NULL REFERENCES v_domains (domain_uuid),
    secretary_name text NOT NULL
);
ALTER TABLE v_voice_secretaries
    ADD COLUMN IF NOT EXISTS extension text,
    ADD COLUMN IF NOT EXISTS language text NOT NULL DEFAULT 'en',
    -- Both names are in use for the same thing: either one switches off.
    ADD COLUMN IF NOT EXISTS enabled boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS is_enabled boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS processing_mode text NOT NULL DEFAULT 'realtime' CHECK (processing_mode IN ('turn_based', 'realtime', 'auto')),
    ADD COLUMN IF NOT EXISTS personality_prompt text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS greeting_message text,
    ADD COLUMN IF NOT EXISTS farewell_message text,
    ADD COLUMN IF NOT EXISTS caller_speaks_first boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS provider_order jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS tts_voice_id text,
    ADD COLUMN IF NOT EXISTS llm_model_override text,
    ADD COLUMN IF NOT EXISTS llm_max_tokens bigint,
    ADD COLUMN IF NOT EXISTS vad_type text NOT NULL DEFAULT 'server_vad',
    ADD COLUMN IF NOT EXISTS vad_eagerness text NOT NULL DEFAULT 'auto',
    ADD COLUMN IF NOT EXISTS vad_threshold double precision,
    ADD COLUMN IF NOT EXISTS silence_duration_ms bigint,
    ADD COLUMN IF NOT EXISTS prefix_padding_ms bigint,
    ADD COLUMN IF NOT EXISTS barge_in_enabled boolean,
    ADD COLUMN IF NOT EXISTS barge_in_resume_ms bigint,
    ADD COLUMN IF NOT EXISTS silence_fallback_enabled boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS silence_fallback_ms bigint NOT NULL DEFAULT 8000,
    ADD COLUMN IF NOT EXISTS silence_fallback_action text NOT NULL DEFAULT 'reprompt' CHECK (silence_fallback_action IN ('reprompt', 'hangup')),
    ADD COLUMN IF NOT EXISTS silence_fallback_prompts jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS silence_fallback_max_retries bigint NOT NULL DEFAULT 2,
    ADD COLUMN IF NOT EXISTS idle_timeout_seconds bigint,
    ADD COLUMN IF NOT EXISTS max_duration_seconds bigint,
    ADD COLUMN IF NOT EXISTS recording_enabled boolean,
    ADD COLUMN IF NOT EXISTS transfer_extension text,
    ADD COLUMN IF NOT EXISTS transfer_context text,
    ADD COLUMN IF NOT EXISTS tools jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS topics jsonb NOT NULL DEFAULT '[]';

CREATE TABLE IF NOT EXISTS v_voice_transfer_destinations (
    transfer_destination_uuid uuid PRIMARY KEY,
    domain_uuid uuid NOT NULL REFERENCES v_domains (domain_uuid),
    name text NOT NULL,
    destination_type text NOT NULL
        CHECK (destination_type IN ('extension', 'ring_group', 'queue', 'external', 'voicemail')),
    destination_number text NOT NULL,
    destination_context text NOT NULL
);
ALTER TABLE v_voice_transfer_destinations
    ADD COLUMN IF NOT EXISTS secretary_uuid uuid REFERENCES v_voice_secretaries (voice_secretary_uuid) ON DELETE CASCADE,
    ADD COLUMN IF NOT EXISTS department text,
    ADD COLUMN IF NOT EXISTS role text,
    ADD COLUMN IF NOT EXISTS aliases jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS description text,
    ADD COLUMN IF NOT EXISTS ring_timeout_seconds bigint NOT NULL DEFAULT 30,
    ADD COLUMN IF NOT EXISTS priority bigint NOT NULL DEFAULT 100,
    ADD COLUMN IF NOT EXISTS is_default boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS is_enabled boolean NOT NULL DEFAULT true;

CREATE TABLE IF NOT EXISTS v_voice_conversations (
    voice_conversation_uuid uuid PRIMARY KEY,
    domain_uuid uuid NOT NULL,
    voice_secretary_uuid uuid,
    call_uuid text NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    duration_seconds bigint NOT NULL,
    processing_mode text NOT NULL,
    total_turns bigint NOT NULL,
    final_action text NOT NULL
);
ALTER TABLE v_voice_conversations
    ADD COLUMN IF NOT EXISTS language text;
CREATE INDEX IF NOT EXISTS v_voice_conversations_call ON v_voice_conversations (domain_uuid, call_uuid);

CREATE TABLE IF NOT EXISTS v_voice_messages (
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
-- In an older system's rows they may be empty.
ALTER TABLE v_voice_messages
    ADD COLUMN IF NOT EXISTS domain_uuid uuid,
    ADD COLUMN IF NOT EXISTS content_heard text,
    ADD COLUMN IF NOT EXISTS heard_ms bigint,
    ADD COLUMN IF NOT EXISTS was_interrupted boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS latency_ms bigint,
    ADD COLUMN IF NOT EXISTS provider_used text,
    ADD COLUMN IF NOT EXISTS start_time timestamptz,
    ADD COLUMN IF NOT EXISTS end_time timestamptz;

CREATE TABLE IF NOT EXISTS v_voice_tool_uses (
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

CREATE TABLE IF NOT EXISTS voip_cdr (
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
-- One that was here before: rows of another program's have no values of ours, and are left out where those are needed.
ALTER TABLE voip_cdr
    ADD COLUMN IF NOT EXISTS domain_uuid uuid,
    ADD COLUMN IF NOT EXISTS call_uuid text,
    ADD COLUMN IF NOT EXISTS start_time timestamptz,
    ADD COLUMN IF NOT EXISTS answer_time timestamptz,
    ADD COLUMN IF NOT EXISTS end_time timestamptz,
    ADD COLUMN IF NOT EXISTS duration_ms bigint,
    ADD COLUMN IF NOT EXISTS voice_secretary_uuid uuid,
    ADD COLUMN IF NOT EXISTS direction text,
    ADD COLUMN IF NOT EXISTS caller_id_number text,
    ADD COLUMN IF NOT EXISTS destination_number text,
    ADD COLUMN IF NOT EXISTS dialect text,
    ADD COLUMN IF NOT EXISTS providers jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN IF NOT EXISTS hangup_cause_q850 bigint,
    ADD COLUMN IF NOT EXISTS hangup_cause text,
    ADD COLUMN IF NOT EXISTS fault text,
    ADD COLUMN IF NOT EXISTS reason text,
    ADD COLUMN IF NOT EXISTS spoken_fallback text,
    ADD COLUMN IF NOT EXISTS transfer_name text,
    ADD COLUMN IF NOT EXISTS transfer_extension text,
    ADD COLUMN IF NOT EXISTS transfer_context text,
    ADD COLUMN IF NOT EXISTS recording_path text,
    ADD COLUMN IF NOT EXISTS underruns bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS barge_ins bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS false_interruptions bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS latency_p50_ms bigint,
    ADD COLUMN IF NOT EXISTS latency_p95_ms bigint,
    ADD COLUMN IF NOT EXISTS uplink_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS downlink_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS input_text_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS input_audio_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS cached_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS output_text_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS output_audio_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS node text;
CREATE INDEX IF NOT EXISTS voip_cdr_start ON voip_cdr (domain_uuid, start_time);

-- What must be unique. Rows that an older system left doubled keep it from being enforced, and are no reason to stop.
DO $$
BEGIN
    BEGIN
        CREATE UNIQUE INDEX IF NOT EXISTS v_voice_secretaries_name ON v_voice_secretaries (domain_uuid, secretary_name);
    EXCEPTION WHEN unique_violation THEN RAISE NOTICE 'v_voice_secretaries has a name twice';
    END;
    BEGIN
        CREATE UNIQUE INDEX IF NOT EXISTS v_voice_secretaries_extension ON v_voice_secretaries (domain_uuid, extension)
            WHERE extension IS NOT NULL;
    EXCEPTION WHEN unique_violation THEN RAISE NOTICE 'v_voice_secretaries has an extension twice';
    END;
    BEGIN
        -- Two names are one to a caller, whoever may use them; NULL is not distinct here.
        CREATE UNIQUE INDEX IF NOT EXISTS v_voice_transfer_destinations_name ON v_voice_transfer_destinations
            (domain_uuid, coalesce(secretary_uuid, '00000000-0000-0000-0000-000000000000'), name);
    EXCEPTION WHEN unique_violation THEN RAISE NOTICE 'v_voice_transfer_destinations has a name twice';
    END;
    BEGIN
        -- A call is written once, however often it is tried.
        IF EXISTS (SELECT 1 FROM pronto_found WHERE name = 'voip_cdr') THEN
            CREATE UNIQUE INDEX IF NOT EXISTS voip_cdr_once ON voip_cdr (domain_uuid, call_uuid, start_time);
        END IF;
    EXCEPTION WHEN unique_violation THEN RAISE NOTICE 'voip_cdr has a call twice';
    END;
END $$;

-- What an older system said by other columns, in ours; and what is ours, marked: it alone goes away again.
DO $$
DECLARE
    own text[];
    made text;
BEGIN
    IF EXISTS (SELECT 1 FROM pronto_found WHERE name = 'v_voice_messages') THEN
        UPDATE v_voice_messages AS m SET domain_uuid = c.domain_uuid FROM v_voice_conversations AS c
            WHERE m.domain_uuid IS NULL AND c.voice_conversation_uuid = m.voice_conversation_uuid;
        SELECT array_agg(attname::text) INTO own FROM pg_attribute
            WHERE attrelid = 'v_voice_messages'::regclass AND attnum > 0 AND NOT attisdropped;
        IF 'insert_date' = ANY (own) THEN
            EXECUTE 'UPDATE v_voice_messages SET start_time = coalesce(start_time, insert_date),
                end_time = coalesce(end_time, insert_date)';
        END IF;
        IF 'voice_message_uuid' = ANY (own) THEN
            EXECUTE 'ALTER TABLE v_voice_messages ALTER COLUMN voice_message_uuid SET DEFAULT gen_random_uuid()';
        END IF;
    END IF;
    IF EXISTS (SELECT 1 FROM pronto_found WHERE name = 'v_voice_secretaries') THEN
        SELECT array_agg(attname::text) INTO own FROM pg_attribute
            WHERE attrelid = 'v_voice_secretaries'::regclass AND attnum > 0 AND NOT attisdropped;
        IF 'silence_fallback_seconds' = ANY (own) THEN
            EXECUTE 'UPDATE v_voice_secretaries SET silence_fallback_ms = silence_fallback_seconds * 1000
                WHERE silence_fallback_seconds BETWEEN 1 AND 600';
        END IF;
        IF 'silence_fallback_prompt' = ANY (own) THEN
            EXECUTE 'UPDATE v_voice_secretaries SET silence_fallback_prompts = jsonb_build_array(silence_fallback_prompt)
                WHERE silence_fallback_prompt <> ''''';
        END IF;
        IF 'realtime_provider_uuid' = ANY (own) THEN
            EXECUTE 'UPDATE v_voice_secretaries AS s SET provider_order = jsonb_build_array(lower(p.provider_name))
                FROM v_voice_ai_providers AS p
                WHERE p.voice_ai_provider_uuid = s.realtime_provider_uuid AND p.domain_uuid = s.domain_uuid';
        END IF;
        -- Both names are in use for the same thing: either one switches off.
        -- As texts: in a table of FusionPBX's making either may be one, with any word in it, or none. Empty is on.
        UPDATE v_voice_secretaries AS v SET enabled = s.is_on, is_enabled = s.is_on
            FROM (SELECT voice_secretary_uuid AS id,
                lower(coalesce(enabled::text, 'true')) NOT IN ('false', 'f', 'no', 'n', 'off', '0')
                AND lower(coalesce(is_enabled::text, 'true')) NOT IN ('false', 'f', 'no', 'n', 'off', '0') AS is_on
                FROM v_voice_secretaries) AS s
            WHERE s.id = v.voice_secretary_uuid;
    END IF;
    FOR made IN SELECT name FROM unnest(ARRAY[
        'v_voice_ai_providers', 'v_voice_secretaries', 'v_voice_transfer_destinations', 'v_voice_conversations',
        'v_voice_messages', 'v_voice_tool_uses', 'voip_cdr'
    ]) AS name WHERE name NOT IN (SELECT f.name FROM pronto_found AS f) LOOP
        EXECUTE format('COMMENT ON TABLE %I IS ''Made by Pronto''', made);
    END LOOP;
END $$;
