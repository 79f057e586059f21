"""Checks Pronto's Gemini Live wire with the official SDK, in both directions.

Server frames: the SDK is the client of Pronto's simulator, and every frame is held against `types.LiveServerMessage`,
which forbids unknown members (SDK google-genai 3.4.0) and, in the SDK's own reader, reads camelCase only.

Client frames: those that Pronto's machine wrote (--frames, JSON lines {"model", "frame"}) are held against
`types.LiveClientMessage` in the same way. The SDK's own client frames, which mix both spellings of the names, prove that
the simulator takes either.

Ends with status 1 at the first violation, and says what it was.
"""

import argparse
import asyncio
import json
import math
import sys
from collections import Counter

from google import genai
from google.genai import types
from pydantic import ValidationError

MODEL = "gemini-3.8-live"


class Violation(Exception):
    pass


def validated(model, frame, what):
    try:
        return model.model_validate(frame)
    except ValidationError as error:
        raise Violation(f"{what}: {error}\n{json.dumps(frame)[:600]}") from error


def tone(milliseconds):
    """A loud 300 Hz tone at 16 kHz: speech, to a detector by energy."""
    return b"".join(
        int(12000 * math.sin(2 * math.pi * 300 * index / 16000)).to_bytes(2, "little", signed=True)
        for index in range(16 * milliseconds)
    )


class Driver:
    """One SDK session; every frame that comes is validated before the SDK sees it."""

    def __init__(self, session):
        self.session = session
        self.seen = Counter()
        self.audio = 0
        self.messages = self.validate(session._ws.recv)
        session._ws.recv = self.messages

    def validate(self, receive):
        async def wrapped(*arguments, **options):
            raw = await receive(*arguments, **options)
            frame = json.loads(raw)
            validated(types.LiveServerMessage, frame, "server frame")
            for key, value in frame.items():
                self.seen[key] += 1
                if key == "serverContent":
                    for name in value:
                        self.seen[f"serverContent.{name}"] += 1
            return raw

        return wrapped

    async def turn(self):
        """What the SDK makes of one turn, by its own rule of where a turn ends."""
        found = Counter()
        async for message in self.session.receive():
            content = message.server_content
            if message.data:
                found["audio"] += len(message.data)
            if message.tool_call:
                found["tools"] += len(message.tool_call.function_calls)
                await self.session.send_tool_response(
                    function_responses=[
                        types.FunctionResponse(id=call.id, name=call.name, response={"output": "done"})
                        for call in message.tool_call.function_calls
                    ]
                )
            if content and content.interrupted:
                found["interrupted"] += 1
            if content and content.input_transcription:
                found["heard"] += 1
            if content and content.output_transcription:
                found["said"] += 1
            if message.session_resumption_update and message.session_resumption_update.resumable:
                self.handle = message.session_resumption_update.new_handle
        return found

    async def speak(self, milliseconds=500, silence=400):
        audio = tone(milliseconds) + bytes(32 * silence)
        for start in range(0, len(audio), 640):
            await self.session.send_realtime_input(
                audio=types.Blob(data=audio[start : start + 640], mime_type="audio/pcm;rate=16000")
            )


def client(port):
    """The SDK forces wss: its base and its TLS context are replaced, nothing else (providers.md §8, way B)."""
    made = genai.Client(api_key="test-key")
    made._api_client._websocket_base_url = lambda *_, **__: f"ws://127.0.0.1:{port}"
    made._api_client._websocket_ssl_ctx = {}
    return made


def config(**more):
    return types.LiveConnectConfig(
        response_modalities=["AUDIO"],
        system_instruction="Be brief.",
        speech_config=types.SpeechConfig(
            voice_config=types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Kore"))
        ),
        tools=[types.Tool(function_declarations=[types.FunctionDeclaration(name="hours", description="d")])],
        realtime_input_config=types.RealtimeInputConfig(
            automatic_activity_detection=types.AutomaticActivityDetection(
                prefix_padding_ms=300,
                silence_duration_ms=500,
                start_of_speech_sensitivity=types.StartSensitivity.START_SENSITIVITY_LOW,
            )
        ),
        context_window_compression=types.ContextWindowCompressionConfig(sliding_window=types.SlidingWindow()),
        input_audio_transcription=types.AudioTranscriptionConfig(),
        output_audio_transcription=types.AudioTranscriptionConfig(),
        **more,
    )


async def drive(port):
    made = client(port)
    resumption = types.SessionResumptionConfig()
    async with made.aio.live.connect(model=MODEL, config=config(session_resumption=resumption)) as session:
        driver = Driver(session)
        await driver.speak()
        turn = await driver.turn()
        if not (turn["audio"] and turn["heard"] and turn["said"]):
            raise Violation(f"a turn without audio or words: {dict(turn)}")
        await driver.speak()
        turn = await driver.turn()
        if turn["tools"] != 2 or not turn["audio"]:
            raise Violation(f"not two tool calls and an answer about them: {dict(turn)}")
        # A long answer, into which the caller speaks.
        await driver.speak()
        await asyncio.sleep(0.1)
        await driver.speak(200, 0)
        turn = await driver.turn()
        if not turn["interrupted"]:
            raise Violation(f"the voice did not interrupt: {dict(turn)}")
        await session.send_realtime_input(audio_stream_end=True)
        await session.send_realtime_input(text="(Read the following text aloud, word for word.)\n\nGoodbye.")
        turn = await driver.turn()
        if not turn["audio"]:
            raise Violation("a text without a spoken answer")
        seen, handle = driver.seen, driver.handle
    again = types.SessionResumptionConfig(handle=handle)
    async with made.aio.live.connect(model=MODEL, config=config(session_resumption=again)) as session:
        driver = Driver(session)
        await session.send_realtime_input(text="Are you still there?")
        if not (await driver.turn())["audio"]:
            raise Violation("a resumed session that says nothing")
        seen += driver.seen
    history = types.HistoryConfig(initial_history_in_client_content=True)
    async with made.aio.live.connect(model=MODEL, config=config(history_config=history)) as session:
        driver = Driver(session)
        turns = [
            types.Content(role="user", parts=[types.Part(text="Hi")]),
            types.Content(role="model", parts=[types.Part(text="Hello")]),
        ]
        await session.send_client_content(turns=turns, turn_complete=True)
        await session.send_realtime_input(text="Go on.")
        if not (await driver.turn())["audio"]:
            raise Violation("a session with a history that says nothing")
        seen += driver.seen
    expected = {
        "serverContent.modelTurn", "serverContent.inputTranscription", "serverContent.outputTranscription",
        "serverContent.generationComplete", "serverContent.turnComplete", "serverContent.interactionStatus",
        "serverContent.interrupted", "toolCall", "usageMetadata", "sessionResumptionUpdate",
    }
    missing = expected - set(seen)
    if missing:
        raise Violation(f"never seen: {sorted(missing)}")
    return sum(count for key, count in seen.items() if "." not in key), len(seen)


def check_machine(path):
    counts = Counter()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            frame = json.loads(line)["frame"]
            setup = frame.get("setup", {})
            # In the type of the whole configuration only, though the SDK writes it into the setup.
            if (realtime := setup.pop("realtimeInputConfig", None)) is not None:
                validated(types.RealtimeInputConfig, realtime, "client frame, realtimeInputConfig")
            validated(types.LiveClientMessage, frame, "client frame")
            (key,) = frame
            counts[key] += 1
            if key == "realtimeInput":
                counts[f"realtimeInput.{next(iter(frame[key]))}"] += 1
    expected = {
        "setup", "clientContent", "toolResponse", "contextUpdate", "realtimeInput.audio", "realtimeInput.text",
        "realtimeInput.activityStart", "realtimeInput.activityEnd", "realtimeInput.audioStreamEnd",
    }
    missing = expected - set(counts)
    if missing:
        raise Violation(f"the machine never wrote: {sorted(missing)}")
    return sum(count for key, count in counts.items() if "." not in key)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="where the simulator listens on 127.0.0.1")
    parser.add_argument("--frames", required=True, help="JSON lines that Pronto's machine wrote")
    arguments = parser.parse_args()
    try:
        print(f"Gemini machine: {check_machine(arguments.frames)} client frames are valid")
        frames, kinds = asyncio.run(asyncio.wait_for(drive(arguments.port), 60))
        print(f"Gemini: {frames} server frames with {kinds} kinds of content are valid")
    except Violation as violation:
        print(f"VIOLATION: {violation}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
