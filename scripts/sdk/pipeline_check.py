"""Drives Pronto's simulators of Deepgram and of text models with the vendors' own SDKs.

What an SDK sends is what the real service is sent, so that being understood here shows that the simulator takes real
frames, headers, paths and bodies; what it answers must come out of the SDK as the types it should be.

Ends with status 1 at the first violation, and says what it was.
"""

import argparse
import math
import struct
import sys
import threading
import time

import anthropic
import groq
import openai
from deepgram import DeepgramClient
from deepgram.environment import DeepgramClientEnvironment


def need(condition, what):
    if not condition:
        print(f"pipeline_check: {what}", file=sys.stderr)
        sys.exit(1)
    print(f"ok  {what}")


def tone(milliseconds, loud=True):
    count = 8 * milliseconds
    level = 12000 if loud else 0
    return b"".join(struct.pack("<h", int(level * math.sin(2 * math.pi * 440 * i / 8000))) for i in range(count))


def collect(connection, feed, until, seconds=8):
    """Feeds a socket from one thread and gathers what it says, until `until` holds."""
    seen = []
    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    end = time.monotonic() + seconds
    for message in connection:
        seen.append(message)
        if until(seen) or time.monotonic() > end:
            break
    thread.join(timeout=seconds)
    return seen


def kind(message):
    return "audio" if isinstance(message, bytes) else getattr(message, "type", None)


def check_deepgram(port):
    base, socket = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    environment = DeepgramClientEnvironment(base=base, production=socket, agent=socket, agent_rest=base)
    client = DeepgramClient(api_key="test", environment=environment)
    with client.listen.v1.connect(
        model="nova-3", encoding="linear16", sample_rate=8000, interim_results=True, vad_events=True, endpointing=300
    ) as connection:

        def feed():
            for _ in range(20):
                connection.send_media(tone(20))
            connection.send_keep_alive()
            connection.send_media(tone(40, loud=False))
            connection.send_finalize()

        def settled(seen):
            return any(getattr(m, "from_finalize", None) for m in seen)

        seen = collect(connection, feed, settled)
    kinds = [kind(m) for m in seen]
    need("SpeechStarted" in kinds, "deepgram listen v1: SpeechStarted is understood")
    final = [m for m in seen if kind(m) == "Results" and m.is_final]
    need(final and final[-1].channel.alternatives[0].transcript == "Hello, who is there?", "deepgram listen v1: words")
    with client.listen.v2.connect(model="flux-general-en", encoding="linear16", sample_rate=8000) as connection:

        def feed():
            for _ in range(8):
                connection.send_media(tone(80))
            for _ in range(8):
                connection.send_media(tone(80, loud=False))

        seen = collect(connection, feed, lambda seen: any(getattr(m, "event", None) == "EndOfTurn" for m in seen))
    events = [getattr(m, "event", None) for m in seen if kind(m) == "TurnInfo"]
    need(events[:1] == ["StartOfTurn"] and events[-1:] == ["EndOfTurn"], "deepgram listen v2: a turn begins and ends")
    with client.speak.v1.connect(model="aura-2-thalia-en", encoding="mulaw", sample_rate=8000) as connection:
        from deepgram.speak.v1.types import SpeakV1Text

        def feed():
            connection.send_text(SpeakV1Text(text="Good morning."))
            connection.send_flush()

        seen = collect(connection, feed, lambda seen: any(kind(m) == "Flushed" for m in seen))
    need(sum(len(m) for m in seen if isinstance(m, bytes)) > 4000, "deepgram speak v1: audio, then Flushed")


TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


def check_completions(client, name):
    text, tools, finish = "", [], None
    stream = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hello"}], tools=TOOLS, stream=True
    )
    for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            tools += choice.delta.tool_calls or []
            finish = choice.finish_reason or finish
    need(text == "It rains." and finish == "tool_calls", f"{name}: streamed words and the reason of the end")
    need(tools[0].function.name == "weather" and tools[0].id, f"{name}: a tool call in fragments")
    whole = client.chat.completions.create(
        model="m",
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        ],
    )
    need(whole.choices[0].message.content == "It rains.", f"{name}: an answer that is not streamed, after a tool")


def check_chat(port):
    base = f"http://127.0.0.1:{port}"
    check_completions(openai.OpenAI(api_key="test", base_url=base + "/v1"), "openai")
    check_completions(groq.Groq(api_key="test", base_url=base), "groq")
    speech = openai.OpenAI(api_key="test", base_url=base + "/v1")
    audio = speech.audio.speech.create(model="gpt-4o-mini-tts", voice="marin", input="Hello.", response_format="pcm")
    need(len(audio.read()) > 4000, "openai: speech")
    heard = speech.audio.transcriptions.create(model="gpt-transcribe", file=("turn.wav", b"RIFF", "audio/wav"))
    need(heard.text == "Hello, who is there?", "openai: a transcription")
    client = anthropic.Anthropic(api_key="test", base_url=base)
    with client.messages.stream(
        model="m", max_tokens=100, messages=[{"role": "user", "content": "Hello"}],
        tools=[{"name": "weather", "input_schema": {"type": "object"}}],
    ) as stream:
        final = stream.get_final_message()
    kinds = [block.type for block in final.content]
    need(kinds == ["text", "tool_use"] and final.stop_reason == "tool_use", "anthropic: words, then a tool")
    need(final.content[0].text == "It rains." and final.content[1].name == "weather", "anthropic: what they say")
    try:
        client.messages.create(model="m", max_tokens=100, messages=[{"role": "assistant", "content": "x"}])
        need(False, "anthropic: a first message that is not the user's was taken")
    except anthropic.BadRequestError:
        need(True, "anthropic: a first message that is not the user's is refused")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--deepgram", type=int, required=True)
    parser.add_argument("--chat", type=int, required=True)
    arguments = parser.parse_args()
    check_deepgram(arguments.deepgram)
    check_chat(arguments.chat)
