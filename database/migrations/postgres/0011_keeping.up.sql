-- Nothing recorded is lost, everything erased is gone: also over several nodes, disks that refuse, and rows that went.

-- Recordings that are to go and that no row names any more: a disk refused, or they are another node's.
CREATE TABLE voip_recordings_to_remove (
    domain_uuid uuid NOT NULL,
    -- The node that is to do it (voip_cdr.node); without characters: whichever has it.
    node text NOT NULL DEFAULT '',
    recording_path text NOT NULL,
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (domain_uuid, node, recording_path)
);
CREATE INDEX voip_recordings_to_remove_node ON voip_recordings_to_remove (node, asked_at);

-- Callers who were erased, for nodes with calls on their own disk (the spool). A hash: the number is gone.
CREATE TABLE voip_callers_to_forget (
    domain_uuid uuid NOT NULL,
    caller_hash text NOT NULL,
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (domain_uuid, caller_hash)
);

-- What calls cost whose rows retention has taken, by month (UTC, as 2026-11): a spend limit counts them still.
CREATE TABLE voip_spent (
    domain_uuid uuid NOT NULL,
    month text NOT NULL,
    cost_currency text NOT NULL,
    cost_micros bigint NOT NULL,
    PRIMARY KEY (domain_uuid, month, cost_currency)
);

-- An older system's conversations name their caller themselves, and are erased by it. Ours leave it empty.
ALTER TABLE v_voice_conversations ADD COLUMN IF NOT EXISTS caller_id_number text;
CREATE INDEX IF NOT EXISTS v_voice_conversations_caller ON v_voice_conversations (domain_uuid, caller_id_number);

-- A voip_cdr that was adopted before 0001 added what it lacked.
ALTER TABLE voip_cdr ADD COLUMN IF NOT EXISTS node text;
