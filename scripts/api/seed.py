"""Writes calls and conversations of two tenants into the gateway's SQLite file, as a gateway would have left them."""

import sqlite3
import sys
import uuid

path, recordings, *tenants = sys.argv[1:]
database = sqlite3.connect(path)
names = {row[1] for row in database.execute("PRAGMA table_info(voip_cdr)")}
for index, tenant in enumerate(tenants):
    for number in range(40):
        start = f"2026-11-{1 + number // 2:02d}T{8 + number % 10:02d}:00:00.000Z"
        end = f"2026-11-{1 + number // 2:02d}T{8 + number % 10:02d}:01:30.500Z"
        call = str(uuid.uuid5(uuid.NAMESPACE_URL, f"call {tenant} {number}"))
        conversation = str(uuid.uuid5(uuid.NAMESPACE_URL, f"conversation {tenant} {number}"))
        recording = None
        if number == 0:
            recording = f"{recordings}/{tenant}/{call}-1.wav"
        row = {
            "domain_uuid": tenant, "call_uuid": call, "start_time": start, "answer_time": start, "end_time": end,
            "duration_ms": 90500, "direction": "inbound", "caller_id_number": "+39061234567",
            "destination_number": "=2+5" if number == 1 else "8001", "dialect": "mod-audio-stream",
            "providers": '["openai"]', "hangup_cause_q850": 16, "hangup_cause": "NORMAL_CLEARING", "fault": "nobody",
            "reason": "caller-hung-up", "spoken_fallback": "nothing", "recording_path": recording,
            "latency_p50_ms": 640, "packets_received": 4500 if number % 2 else None, "packets_lost": 3,
            "packets_late": 1, "jitter_us": 1800, "mos_hundredths": 430,
        }
        row = {name: value for name, value in row.items() if name in names}
        database.execute(
            f"INSERT INTO voip_cdr ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
        database.execute(
            "INSERT INTO v_voice_conversations (voice_conversation_uuid, domain_uuid, call_uuid, start_time, end_time, "
            "duration_seconds, processing_mode, language, total_turns, final_action) "
            "VALUES (?, ?, ?, ?, ?, 90, 'realtime', 'it-IT', 1, 'hangup')",
            [conversation, tenant, call, start, end])
        database.execute(
            "INSERT INTO v_voice_messages (voice_conversation_uuid, turn_number, domain_uuid, role, content, start_time, "
            "end_time) VALUES (?, 1, ?, 'user', ?, ?, ?)", [conversation, tenant, "Buongiorno", start, end])
        database.execute(
            "INSERT INTO v_voice_tool_uses (voice_conversation_uuid, tool_number, domain_uuid, tool_name, arguments, "
            "outcome, start_time, duration_ms) VALUES (?, 1, ?, 'end_call', '{}', 'succeeded', ?, 0)",
            [conversation, tenant, start])
database.commit()
