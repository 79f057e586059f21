-- Nothing recorded is lost, everything erased is gone: also over several nodes, disks that refuse, and rows that went.

-- Recordings that are to go and that no row names any more: a disk refused, or they are another node's.
CREATE TABLE voip_recordings_to_remove (
    domain_uuid TEXT NOT NULL,
    -- The node that is to do it (voip_cdr.node); without characters: whichever has it.
    node TEXT NOT NULL DEFAULT '',
    recording_path TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    PRIMARY KEY (domain_uuid, node, recording_path)
) STRICT;
CREATE INDEX voip_recordings_to_remove_node ON voip_recordings_to_remove (node, asked_at);

-- Callers who were erased, for nodes with calls on their own disk (the spool). A hash: the number is gone.
CREATE TABLE voip_callers_to_forget (
    domain_uuid TEXT NOT NULL,
    caller_hash TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    PRIMARY KEY (domain_uuid, caller_hash)
) STRICT;

-- What calls cost whose rows retention has taken, by month (UTC, as 2026-11): a spend limit counts them still.
CREATE TABLE voip_spent (
    domain_uuid TEXT NOT NULL,
    month TEXT NOT NULL,
    cost_currency TEXT NOT NULL,
    cost_micros INTEGER NOT NULL,
    PRIMARY KEY (domain_uuid, month, cost_currency)
) STRICT;

-- An older system's conversations name their caller themselves, and are erased by it. Ours leave it empty.
ALTER TABLE v_voice_conversations ADD COLUMN caller_id_number TEXT;
CREATE INDEX v_voice_conversations_caller ON v_voice_conversations (domain_uuid, caller_id_number);
