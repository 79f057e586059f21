/// Tables of others, as they stand in databases that Pronto is installed beside: written by hand from the columns that
/// FusionPBX's and the older system's installations have, with a row or two in each.
enum OlderTables {
    static let tenant = "96f6142d-02b1-49fa-8bcb-f98658bb831f"

    /// FusionPBX's own; `flag` is the type of its switches: boolean, in older versions text.
    static func fusionPBX(flag: String) -> String {
        """
        CREATE TABLE v_domains (domain_uuid uuid PRIMARY KEY, domain_parent_uuid uuid, domain_name text,
            domain_enabled \(flag), domain_description text);
        CREATE TABLE v_dialplans (dialplan_uuid uuid PRIMARY KEY, domain_uuid uuid, app_uuid uuid, dialplan_context text,
            dialplan_name text, dialplan_xml text, dialplan_order numeric, dialplan_enabled \(flag));
        CREATE TABLE v_dialplan_details (dialplan_detail_uuid uuid PRIMARY KEY, domain_uuid uuid, dialplan_uuid uuid,
            dialplan_detail_tag text, dialplan_detail_type text, dialplan_detail_data text);
        CREATE TABLE v_extensions (extension_uuid uuid PRIMARY KEY, domain_uuid uuid, extension text, password text,
            enabled \(flag));
        INSERT INTO v_domains VALUES ('\(Self.tenant)', NULL, 'demo.example', 'true', 'theirs'),
            ('dc923a2f-b88a-4a2f-8029-d6e0c06893c5', NULL, 'off.example', 'false', NULL);
        INSERT INTO v_dialplans VALUES ('11111111-2222-4333-8444-555555555555', '\(Self.tenant)', NULL, 'demo.example',
            'theirs', '<extension/>', 100, 'true');
        INSERT INTO v_dialplan_details VALUES ('21111111-2222-4333-8444-555555555555', '\(Self.tenant)',
            '11111111-2222-4333-8444-555555555555', 'action', 'answer', '');
        INSERT INTO v_extensions VALUES ('31111111-2222-4333-8444-555555555555', '\(Self.tenant)', '1001', 'x', 'true');
        """
    }

    /// An older voice system's (field notes §1.10), beside FusionPBX's.
    static let voice = """
        CREATE TABLE v_voice_ai_providers (
            voice_ai_provider_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            domain_uuid uuid NOT NULL REFERENCES v_domains (domain_uuid) ON DELETE CASCADE,
            provider_type varchar(20) NOT NULL
                CHECK (provider_type IN ('stt', 'tts', 'llm', 'embeddings', 'realtime')),
            provider_name varchar(50) NOT NULL, display_name varchar(255), config jsonb NOT NULL DEFAULT '{}',
            is_default boolean DEFAULT false, is_enabled boolean DEFAULT true, priority integer DEFAULT 0,
            rate_limit_rpm integer, cost_per_unit numeric(10,6), cost_unit varchar(20),
            insert_date timestamptz DEFAULT now(), update_date timestamptz,
            UNIQUE (domain_uuid, provider_type, provider_name));
        CREATE TABLE v_voice_secretaries (
            voice_secretary_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            domain_uuid uuid NOT NULL REFERENCES v_domains (domain_uuid) ON DELETE CASCADE,
            secretary_name varchar(255) NOT NULL, company_name varchar(255), extension varchar(20),
            language varchar(10) DEFAULT 'pt-BR', processing_mode varchar(20) DEFAULT 'turn_based',
            personality_prompt text, greeting_message text, farewell_message text, farewell_keywords text,
            outside_hours_message text, business_info jsonb DEFAULT '{}',
            realtime_provider_uuid uuid REFERENCES v_voice_ai_providers (voice_ai_provider_uuid),
            tts_voice_id varchar(100), vad_type varchar(20) DEFAULT 'semantic_vad',
            vad_eagerness varchar(10) DEFAULT 'medium', vad_threshold numeric(3,2), silence_duration_ms integer,
            silence_fallback_enabled boolean DEFAULT false, silence_fallback_seconds integer DEFAULT 10,
            silence_fallback_action varchar(20) DEFAULT 'reprompt', silence_fallback_prompt text,
            silence_fallback_max_retries integer, transfer_extension varchar(20), max_turns integer DEFAULT 20,
            idle_timeout_seconds integer, enabled text, is_enabled boolean DEFAULT true, insert_date timestamptz);
        CREATE TABLE v_voice_conversations (
            voice_conversation_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), domain_uuid uuid NOT NULL,
            voice_secretary_uuid uuid, call_uuid varchar(255), caller_id_number varchar(50),
            caller_id_name varchar(255), start_time timestamptz DEFAULT now(), end_time timestamptz,
            duration_seconds integer, processing_mode varchar(20), total_turns integer, final_action varchar(50),
            transfer_extension varchar(20), ticket_created boolean DEFAULT false, insert_date timestamptz DEFAULT now());
        CREATE TABLE v_voice_messages (
            voice_message_uuid uuid PRIMARY KEY,
            voice_conversation_uuid uuid NOT NULL
                REFERENCES v_voice_conversations (voice_conversation_uuid) ON DELETE CASCADE,
            turn_number integer NOT NULL, role varchar(20) NOT NULL, content text NOT NULL, audio_duration_ms integer,
            provider_used varchar(50), rag_sources text[], insert_date timestamptz DEFAULT now());
        CREATE TABLE v_voice_transfer_destinations (
            transfer_destination_uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), domain_uuid uuid NOT NULL,
            secretary_uuid uuid REFERENCES v_voice_secretaries (voice_secretary_uuid) ON DELETE CASCADE,
            name varchar(100) NOT NULL, aliases jsonb DEFAULT '[]', destination_type varchar(20) NOT NULL
                CHECK (destination_type IN ('extension', 'ring_group', 'queue', 'external', 'voicemail')),
            destination_number varchar(50) NOT NULL, destination_context varchar(100) DEFAULT 'default',
            ring_timeout_seconds integer DEFAULT 30, fallback_action varchar(20), department varchar(100),
            role varchar(100), description text, working_hours jsonb, priority integer DEFAULT 100,
            is_default boolean DEFAULT false, is_enabled boolean DEFAULT true);
        INSERT INTO v_voice_ai_providers (voice_ai_provider_uuid, domain_uuid, provider_type, provider_name, config, priority,
            cost_per_unit) VALUES ('41111111-2222-4333-8444-555555555555', '\(Self.tenant)', 'realtime', 'openai',
            '{"api_key": "sk-plain", "model": "gpt-realtime"}', NULL, 0.06);
        INSERT INTO v_voice_secretaries (voice_secretary_uuid, domain_uuid, secretary_name, company_name, extension,
            realtime_provider_uuid, vad_threshold, silence_fallback_prompt, transfer_extension, enabled, is_enabled)
        VALUES ('51111111-2222-4333-8444-555555555555', '\(Self.tenant)', 'Ana', 'ACME', '8000',
                '41111111-2222-4333-8444-555555555555', 0.50, 'Alô?', '2000', 'true', true),
            ('61111111-2222-4333-8444-555555555555', '\(Self.tenant)', 'Bia', NULL, '', NULL, NULL, '', '', 'false', true),
            ('71111111-2222-4333-8444-555555555555', '\(Self.tenant)', 'Ana', NULL, '', NULL, NULL, NULL, NULL, NULL, NULL);
        INSERT INTO v_voice_conversations (voice_conversation_uuid, domain_uuid, voice_secretary_uuid, call_uuid)
        VALUES ('81111111-2222-4333-8444-555555555555', '\(Self.tenant)', '51111111-2222-4333-8444-555555555555', 'old');
        INSERT INTO v_voice_messages (voice_message_uuid, voice_conversation_uuid, turn_number, role, content)
        VALUES ('91111111-2222-4333-8444-555555555555', '81111111-2222-4333-8444-555555555555', 1, 'user', 'Alô');
        INSERT INTO v_voice_transfer_destinations (domain_uuid, name, destination_type, destination_number)
        VALUES ('\(Self.tenant)', 'vendas', 'extension', '1001');
        """
}
