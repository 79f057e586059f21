"""Checks Pronto's ElevenLabs Agents wire with the official SDK, in both directions.

The SDK (elevenlabs 2.78.0) has no types for this socket. So: the SDK is the client of Pronto's simulator, public and by
signed URL, and all that it tells its callbacks is looked at; each server frame must have the members that the AsyncAPI
description names, and no others; what Pronto's machine wrote (--frames) must have the members of the messages that
the SDK's own classes write (`…ClientToOrchestratorEvent.to_dict`) or that the description names.

Ends with status 1 at the first violation, and says what it was.
"""

import argparse
import base64
import json
import math
import signal
import sys
import time
from collections import Counter

from elevenlabs import ElevenLabs
from elevenlabs.conversational_ai import conversation as sdk

AGENT = "agent_test"

# Server messages: the key that holds the event, its members, and those of them that may be missing
# (elevenlabs/packages, AsyncAPI, 2026-08-22).
SERVER = {
    "conversation_initiation_metadata": (
        "conversation_initiation_metadata_event",
        {"conversation_id", "agent_output_audio_format", "user_input_audio_format"}, set()),
    "audio": ("audio_event", {"audio_base_64", "event_id"}, {"alignment"}),
    "user_transcript": ("user_transcription_event", {"user_transcript", "event_id"}, set()),
    "tentative_user_transcript": ("tentative_user_transcription_event", {"user_transcript", "event_id"}, set()),
    "agent_response": ("agent_response_event", {"agent_response", "event_id"}, set()),
    "agent_response_correction": (
        "agent_response_correction_event",
        {"original_agent_response", "corrected_agent_response", "event_id"}, set()),
    "interruption": ("interruption_event", {"event_id"}, {"reason"}),
    "ping": ("ping_event", {"event_id", "ping_ms"}, set()),
    "client_tool_call": ("client_tool_call", {"tool_name", "tool_call_id", "parameters", "event_id"}, set()),
    "error": (
        "error_event", {"code"}, {"message", "error_type", "reason", "debug_message", "details"}),
}
# Client messages: all members, and those that may be missing.
CLIENT = {
    None: ({"user_audio_chunk"}, set()),
    "conversation_initiation_client_data": (
        {"type", "conversation_config_override", "dynamic_variables", "source_info"},
        {"custom_llm_extra_body", "user_id"}),
    "pong": ({"type", "event_id"}, set()),
    "client_tool_result": ({"type", "tool_call_id", "result", "is_error"}, set()),
    "contextual_update": (set(sdk.ContextualUpdateClientToOrchestratorEvent("x").to_dict()), {"context_id"}),
    "user_message": (set(sdk.UserMessageClientToOrchestratorEvent("x").to_dict()), set()),
}


class Violation(Exception):
    pass


def check_members(found, required, optional, what):
    if missing := required - found:
        raise Violation(f"{what}: missing {sorted(missing)}")
    if unknown := found - required - optional:
        raise Violation(f"{what}: unknown {sorted(unknown)}")


def check_server(frame, seen):
    kind = frame.get("type")
    if kind not in SERVER:
        raise Violation(f"server frame of an unknown type: {json.dumps(frame)[:300]}")
    key, required, optional = SERVER[kind]
    check_members(set(frame), {"type", key}, set(), f"server frame {kind}")
    check_members(set(frame[key]), required, optional, f"server frame {kind}.{key}")
    seen[kind] += 1


def tone(milliseconds):
    """A loud 300 Hz tone at 16 kHz: speech, to a detector by energy."""
    return b"".join(
        int(12000 * math.sin(2 * math.pi * 300 * index / 16000)).to_bytes(2, "little", signed=True)
        for index in range(16 * milliseconds)
    )


class Audio(sdk.AudioInterface):
    """The SDK's microphone and loudspeaker."""

    def __init__(self):
        self.heard = 0
        self.interruptions = 0
        self.input = None

    def start(self, input_callback):
        self.input = input_callback

    def stop(self):
        self.input = None

    def output(self, audio):
        self.heard += len(audio)

    def interrupt(self):
        self.interruptions += 1

    def speak(self, milliseconds=500, silence=400):
        audio = tone(milliseconds) + bytes(32 * silence)
        for start in range(0, len(audio), 640):
            self.input(audio[start : start + 640])


def until(what, condition, limit=20):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.01)
    raise Violation(f"not within {limit} s: {what}")


def drive(port, signed):
    """One conversation through everything that the simulator can say."""
    seen, failures = Counter(), []
    real = sdk.BaseConversation._handle_message_core

    def checking(self, message, handler):
        try:
            check_server(message, seen)
        except Violation as violation:
            failures.append(violation)
        return real(self, message, handler)

    sdk.BaseConversation._handle_message_core = checking
    try:
        said, heard, corrections, details = [], [], [], []
        tools, called = sdk.ClientTools(), Counter()
        for name in ("hours", "transfer"):
            tools.register(name, lambda parameters, name=name: called.update([name]) or '{"ok":true}')
        audio = Audio()
        conversation = sdk.Conversation(
            ElevenLabs(api_key="xi-test", base_url=f"http://127.0.0.1:{port}"), AGENT, requires_auth=signed,
            audio_interface=audio, client_tools=tools,
            config=sdk.ConversationInitiationData(
                conversation_config_override={"agent": {"language": "en", "prompt": {"prompt": "Be brief."}}},
                dynamic_variables={"name": "Ada"}),
            callback_agent_response=said.append, callback_user_transcript=heard.append,
            callback_agent_response_correction=lambda *pair: corrections.append(pair),
            callback_disconnect=details.append)
        conversation.start_session()
        until("the greeting", lambda: said and audio.heard and audio.input)
        time.sleep(1)
        audio.speak()
        until("an answer", lambda: len(said) >= 2 and heard)
        time.sleep(1)
        audio.speak()
        until("two tools", lambda: sum(called.values()) == 2)
        until("an answer about them", lambda: len(said) >= 4)
        time.sleep(1)
        audio.speak()
        until("a long answer", lambda: len(said) >= 5)
        time.sleep(0.2)
        audio.speak(300, 0)
        until("the interruption", lambda: audio.interruptions and corrections)
        conversation.send_contextual_update("The line is noisy.")
        conversation.send_user_message("And now in writing.")
        until("an answer to a text", lambda: len(said) >= 6)
        conversation.register_user_activity()
        until("a ping", lambda: seen["ping"])
        conversation.end_session()
        if failures:
            raise failures[0]
        if details[0].reason != "user":
            raise Violation(f"the session ended by itself: {details[0]}")
        missing = set(SERVER) - set(seen) - {"error"}
        if missing:
            raise Violation(f"never seen: {sorted(missing)}")
        return sum(seen.values()), len(seen)
    finally:
        sdk.BaseConversation._handle_message_core = real


def check_machine(path):
    counts = Counter()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            frame = json.loads(line)["frame"]
            kind = frame.get("type")
            if kind not in CLIENT:
                raise Violation(f"client frame of an unknown type: {line[:300]}")
            required, optional = CLIENT[kind]
            check_members(set(frame), required, optional, f"client frame {kind}")
            if kind is None:
                base64.b64decode(frame["user_audio_chunk"], validate=True)
            counts[kind] += 1
    missing = set(CLIENT) - set(counts)
    if missing:
        raise Violation(f"the machine never wrote: {sorted(map(str, missing))}")
    return sum(counts.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="where the simulator listens on 127.0.0.1")
    parser.add_argument("--frames", required=True, help="JSON lines that Pronto's machine wrote")
    arguments = parser.parse_args()
    # A thread of the SDK that hangs must not hang the check: the signal ends the process, with a status.
    signal.alarm(120)
    try:
        print(f"ElevenLabs machine: {check_machine(arguments.frames)} client frames are valid")
        print("ElevenLabs, public: %d server frames of %d types are valid" % drive(arguments.port, signed=False))
        print("ElevenLabs, signed: %d server frames of %d types are valid" % drive(arguments.port, signed=True))
    except Violation as violation:
        print(f"VIOLATION: {violation}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
