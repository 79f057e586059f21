"""Checks Pronto's OpenAI Realtime wire with the official SDK, in both directions and both shapes.

Server frames: the SDK is the client of Pronto's simulator. The SDK itself accepts nearly anything (an unknown event comes
back as ConversationCreatedEvent), so every frame goes through `openai._models.validate_type`, which raises on missing
fields, wrong types and unknown events; members that the types do not know are violations too, but for the few that the
real server sends beside its types.

Client frames: those that Pronto's machine wrote (--frames, JSON lines {"dialect", "frame"}) are validated against the
SDK's client event types in the same way. The SDK's own client frames prove the simulator's strictness by being accepted.

Ends with status 1 at the first violation, and says what it was.
"""

import argparse
import base64
import json
import math
import sys
from collections import Counter

from pydantic import BaseModel, ValidationError

from openai import AzureOpenAI, OpenAI
from openai._models import validate_type
from openai.types.beta.realtime import RealtimeClientEvent as BetaClientEvent
from openai.types.beta.realtime import RealtimeServerEvent as BetaServerEvent
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent

# Sent by the real service beside what the types of SDK 3.52.0 say.
KNOWN_EXTRAS = {
    "ga": {"session.id", "session.object", "session.expires_at"},
    "beta": {"session.object", "session.expires_at"},
}
MODEL = {"ga": "gpt-realtime-2.1", "beta": "gpt-4o-realtime-preview"}


class Violation(Exception):
    pass


def extras(value, path=""):
    """Paths of the members that the validated model does not know."""
    if isinstance(value, BaseModel):
        for name in (value.model_extra or {}):
            yield f"{path}.{name}".lstrip(".")
        for name in value.model_fields_set:
            if name in type(value).model_fields:
                yield from extras(getattr(value, name), f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for entry in value:
            yield from extras(entry, path)


def check(union, frame, dialect, what):
    try:
        model = validate_type(type_=union, value=frame)
    except (ValidationError, ValueError, TypeError) as error:
        raise Violation(f"{what} ({dialect}) {frame.get('type')}: {error}\n{json.dumps(frame)[:600]}") from error
    if model.type != frame["type"]:
        raise Violation(f"{what} ({dialect}) {frame['type']} was taken for {type(model).__name__}")
    unknown = set(extras(model)) - KNOWN_EXTRAS[dialect]
    if unknown:
        raise Violation(f"{what} ({dialect}) {frame['type']}: unknown members {sorted(unknown)}\n{json.dumps(frame)[:600]}")


class Driver:
    """One SDK connection; every frame that comes is validated before anything else is done with it."""

    def __init__(self, connection, dialect):
        self.connection, self.dialect = connection, dialect
        self.union = RealtimeServerEvent if dialect == "ga" else BetaServerEvent
        self.seen = Counter()
        self.last = {}

    def receive(self):
        frame = json.loads(self.connection.recv_bytes())
        check(self.union, frame, self.dialect, "server frame")
        self.seen[frame["type"]] += 1
        self.last[frame["type"]] = frame
        return frame

    def until(self, wanted, limit=2000):
        for _ in range(limit):
            frame = self.receive()
            # A cancel may reach a response that has just ended: a race of the script, told as the real server does.
            if frame["type"] == "error" and frame["error"]["code"] == "response_cancel_not_active":
                if wanted != "error":
                    continue
            if frame["type"] == "error" and wanted != "error":
                raise Violation(f"({self.dialect}) the simulator refused the SDK's own frame: {frame['error']}")
            if frame["type"] == wanted:
                return frame
        raise Violation(f"({self.dialect}) no {wanted} among {limit} frames")


def mulaw_tone(milliseconds):
    """A loud 300 Hz tone: speech, to a detector by energy."""
    out = bytearray()
    for index in range(8 * milliseconds):
        sample = int(12000 * math.sin(2 * math.pi * 300 * index / 8000))
        sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
        magnitude = min(magnitude, 32635) + 132
        exponent = magnitude.bit_length() - 8
        out.append(~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF)
    return bytes(out)


def speak(connection, milliseconds=500, silence=400):
    audio = mulaw_tone(milliseconds) + b"\xff" * (8 * silence)
    for start in range(0, len(audio), 160):
        connection.input_audio_buffer.append(audio=base64.b64encode(audio[start : start + 160]).decode())


def session(dialect, detection=True):
    vad = {
        "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
        "create_response": True, "interrupt_response": True,
    }
    tool = {"type": "function", "name": "hours", "description": "d", "parameters": {"type": "object", "properties": {}}}
    shared = {"instructions": "Be brief.", "tools": [tool], "tool_choice": "auto"}
    if dialect == "ga":
        return shared | {
            "type": "realtime", "output_modalities": ["audio"], "max_output_tokens": 1000,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"}, "noise_reduction": {"type": "near_field"},
                    "transcription": {"model": "gpt-transcribe", "language": "en"},
                    "turn_detection": vad if detection else None,
                },
                "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.0},
            },
        }
    return shared | {
        "modalities": ["audio", "text"], "input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw",
        "voice": "alloy", "temperature": 0.8, "max_response_output_tokens": 1000,
        "input_audio_transcription": {"model": "whisper-1", "language": "en"},
        "input_audio_noise_reduction": {"type": "near_field"}, "turn_detection": vad if detection else None,
    }


def drive(connection, dialect):
    """One conversation through everything that the simulator can say."""
    driver = Driver(connection, dialect)
    name = (lambda ga, beta: ga) if dialect == "ga" else (lambda ga, beta: beta)
    first = driver.receive()
    if first["type"] != "session.created":
        raise Violation(f"({dialect}) the first frame is {first['type']}")
    connection.session.update(session=session(dialect))
    echo = driver.until("session.updated")["session"]
    spoken = echo["audio"]["output"]["format"]["type"] if dialect == "ga" else echo["output_audio_format"]
    if spoken not in ("audio/pcmu", "g711_ulaw"):
        raise Violation(f"({dialect}) session.updated echoes {spoken}")

    # A turn by energy, its answer, its transcript.
    speak(connection)
    driver.until("response.done")
    heard = sum(len(base64.b64decode(driver.last[t]["delta"])) for t in driver.last if t.endswith("audio.delta"))
    if heard == 0:
        raise Violation(f"({dialect}) an answer without audio")

    # Tools: both results, then one response.
    speak(connection)
    done = driver.until("response.done")
    calls = [item for item in done["response"]["output"] if item["type"] == "function_call"]
    if len(calls) != 2:
        raise Violation(f"({dialect}) {len(calls)} tool calls, not 2")
    for call in calls:
        connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call["call_id"], "output": '{"ok":true}'}
        )
    connection.response.create()
    driver.until("response.done")

    # An interruption: by voice, cut to what was heard; then a cancel and a truncation by the client.
    connection.response.create()
    delta = driver.until(name("response.output_audio.delta", "response.audio.delta"))
    speak(connection, 200, 0)
    if driver.until("response.done")["response"]["status_details"]["reason"] != "turn_detected":
        raise Violation(f"({dialect}) the voice did not interrupt")
    connection.conversation.item.truncate(item_id=delta["item_id"], content_index=0, audio_end_ms=50)
    driver.until("conversation.item.truncated")
    connection.input_audio_buffer.clear()
    driver.until("input_audio_buffer.cleared")
    connection.session.update(session=session(dialect, detection=False))
    driver.until("session.updated")
    connection.response.create()
    driver.until("response.created")
    connection.response.create()
    if driver.until("error")["error"]["code"] != "conversation_already_has_active_response":
        raise Violation(f"({dialect}) two responses at a time")
    driver.until(name("response.output_audio_transcript.delta", "response.audio_transcript.delta"))
    connection.response.cancel()
    driver.until("response.done")

    # Turns by the client, an item by text, a greeting, words to be read out, an answer in writing.
    speak(connection, 200, 0)
    connection.input_audio_buffer.commit()
    driver.until("conversation.item.input_audio_transcription.completed")
    for role, kind in (("user", "input_text"), ("assistant", name("output_text", "text")), ("system", "input_text")):
        connection.conversation.item.create(
            item={"type": "message", "role": role, "content": [{"type": kind, "text": "x"}]}
        )
        item = driver.until(name("conversation.item.added", "conversation.item.created"))["item"]
    connection.conversation.item.retrieve(item_id=item["id"])
    if dialect == "ga":
        driver.until("conversation.item.retrieved")
    connection.conversation.item.delete(item_id=item["id"])
    driver.until("conversation.item.deleted")
    connection.response.create(response={"instructions": "Greet."})
    driver.until("response.done")
    connection.response.create(response={"instructions": "Say:\n\nGoodbye.", "input": [], "tool_choice": "none"})
    if driver.until("response.done")["response"]["output"][0]["content"][0]["transcript"] != "Goodbye.":
        raise Violation(f"({dialect}) not the words that were asked for")
    connection.response.create(response={name("output_modalities", "modalities"): ["text"], "conversation": "none"})
    driver.until("response.done")
    driver.until("rate_limits.updated")

    expected = {
        "session.created", "session.updated", "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed", "input_audio_buffer.cleared", "conversation.item.truncated",
        "conversation.item.deleted", "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed", "response.created", "response.done",
        "response.output_item.added", "response.output_item.done", "response.content_part.added",
        "response.content_part.done", "response.function_call_arguments.delta",
        "response.function_call_arguments.done", "rate_limits.updated", "error",
        name("conversation.item.added", "conversation.item.created"),
        name("response.output_audio.delta", "response.audio.delta"),
        name("response.output_audio.done", "response.audio.done"),
        name("response.output_audio_transcript.delta", "response.audio_transcript.delta"),
        name("response.output_audio_transcript.done", "response.audio_transcript.done"),
        name("response.output_text.delta", "response.text.delta"),
        name("response.output_text.done", "response.text.done"),
    }
    if dialect == "ga":
        expected |= {"conversation.item.done", "conversation.item.retrieved"}
    missing = expected - set(driver.seen)
    if missing:
        raise Violation(f"({dialect}) never seen: {sorted(missing)}")
    return sum(driver.seen.values()), len(driver.seen)


def check_machine(path):
    counts = Counter()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            dialect, frame = record["dialect"], record["frame"]
            check(RealtimeClientEvent if dialect == "ga" else BetaClientEvent, frame, dialect, "client frame")
            counts[dialect, frame["type"]] += 1
    for dialect in ("ga", "beta"):
        expected = {
            "session.update", "input_audio_buffer.append", "input_audio_buffer.commit", "input_audio_buffer.clear",
            "conversation.item.create", "conversation.item.truncate", "response.create", "response.cancel",
        }
        missing = expected - {kind for which, kind in counts if which == dialect}
        if missing:
            raise Violation(f"the machine never wrote ({dialect}): {sorted(missing)}")
    return sum(counts.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="where the simulator listens on 127.0.0.1")
    parser.add_argument("--frames", required=True, help="JSON lines that Pronto's machine wrote")
    arguments = parser.parse_args()
    base = f"127.0.0.1:{arguments.port}"
    try:
        print(f"machine: {check_machine(arguments.frames)} client frames are valid")
        client = OpenAI(api_key="sk-test", base_url=f"http://{base}/v1")
        with client.realtime.connect(model=MODEL["ga"]) as connection:
            print("GA: %d server frames of %d types are valid" % drive(connection, "ga"))
        beta = OpenAI(api_key="sk-test", websocket_base_url=f"ws://{base}/v1")
        with beta.beta.realtime.connect(model=MODEL["beta"]) as connection:
            print("beta: %d server frames of %d types are valid" % drive(connection, "beta"))
        azure = AzureOpenAI(
            api_key="k", api_version="2025-04-01-preview", azure_endpoint=f"http://{base}",
            websocket_base_url=f"ws://{base}/openai",
        )
        with azure.beta.realtime.connect(model=MODEL["beta"]) as connection:
            print("Azure, older path: %d server frames of %d types are valid" % drive(connection, "beta"))
    except Violation as violation:
        print(f"VIOLATION: {violation}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
