"""How long the gateway takes from a caller's datagram to the provider's socket, by what passes on the loopback.

usage: uplink_delay.py KIND FIRST LAST PROVIDER SECONDS
KIND rtp (PCMU) or unicast (L16, 8 kHz); datagrams to UDP ports FIRST..LAST of the gateway; the provider's TCP port, an OpenAI
Realtime service without TLS. The caller says bursts of a tone with silence between (scripts/bench-delay): the datagram and the
provider's message in which a burst begins are the same sound, and the time between them is the gateway's delay. Needs root
(a packet socket). Prints JSON: n, p50, p95, max in ms. Exit 1: fewer than five bursts were seen.
"""

import base64
import json
import socket
import struct
import sys
import time

kind, first, last, provider, seconds = sys.argv[1], *(int(word) for word in sys.argv[2:6])
LOUD = 2000  # of 32768; the line's noise is silence


def mu_law(code):
    code = ~code & 0xFF
    value = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    return 0x84 - value if code & 0x80 else value - 0x84


TABLE = [abs(mu_law(code)) for code in range(256)]


class Onsets:
    """When each burst begins: the first loud sample after 300 ms of quiet."""

    def __init__(self):
        self.times = []
        self.quiet_since = None

    def take(self, is_loud, now):
        if is_loud:
            if self.quiet_since is not None and now - self.quiet_since > 0.3:
                self.times.append(now)
            self.quiet_since = None
        elif self.quiet_since is None:
            self.quiet_since = now


class Stream:
    """A client's side of one WebSocket: TCP bytes in order, HTTP head skipped, frames unmasked."""

    def __init__(self):
        self.bytes = bytearray()
        self.next = None
        self.is_open = False
        self.later = {}

    def take(self, sequence, payload):
        if self.next is None:
            self.next = sequence
        self.later[sequence] = payload
        while self.next in self.later:
            part = self.later.pop(self.next)
            self.next = (self.next + len(part)) & 0xFFFFFFFF
            self.bytes += part
        if not self.is_open:
            end = self.bytes.find(b"\r\n\r\n")
            if end < 0:
                return
            del self.bytes[: end + 4]
            self.is_open = True
        while len(self.bytes) >= 6:
            length, head = self.bytes[1] & 0x7F, 2
            if length == 126:
                length, head = struct.unpack_from(">H", self.bytes, 2)[0], 4
            elif length == 127:
                if len(self.bytes) < 14:
                    return
                length, head = struct.unpack_from(">Q", self.bytes, 2)[0], 10
            if len(self.bytes) < head + 4 + length:
                return
            mask = self.bytes[head : head + 4]
            body = self.bytes[head + 4 : head + 4 + length]
            del self.bytes[: head + 4 + length]
            whole = int.from_bytes(body, "big") ^ int.from_bytes((mask * (length // 4 + 1))[:length], "big")
            yield whole.to_bytes(length, "big")


caller, answerer = Onsets(), Onsets()
streams, encoding = {}, {}
tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
tap.bind(("lo", 0))
tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
tap.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS: the time of the packet, not of this program
tap.settimeout(0.2)
end = time.monotonic() + seconds
while time.monotonic() < end:
    try:
        packet, ancillary, _, address = tap.recvmsg(70000, 64)
    except TimeoutError:
        continue
    if address[2] == 4:  # sent and received are one packet here: one of the two is enough
        continue
    moment = next((struct.unpack("qq", data) for _, kind_of, data in ancillary if kind_of == 35), None)
    if moment is None:
        continue
    now = moment[0] + moment[1] / 1e9
    offset = (packet[0] & 15) * 4
    if packet[9] == 17:
        port = struct.unpack_from(">H", packet, offset + 2)[0]
        if not first <= port <= last:
            continue
        audio = packet[offset + 8 :]
        if kind == "rtp":
            if len(audio) < 13 or audio[1] & 0x7F != 0:
                continue
            caller.take(any(TABLE[code] > LOUD for code in audio[12:]), now)
        else:
            samples = struct.unpack(f"<{len(audio) // 2}h", audio[: len(audio) // 2 * 2])
            caller.take(any(abs(sample) > LOUD for sample in samples), now)
    elif packet[9] == 6:
        source, port, sequence = struct.unpack_from(">HHI", packet, offset)
        if port != provider:
            continue
        start = offset + (packet[offset + 12] >> 4) * 4
        payload = packet[start : struct.unpack_from(">H", packet, 2)[0]]
        if not payload:
            continue
        for text in streams.setdefault(source, Stream()).take(sequence, payload):
            try:
                event = json.loads(text)
            except ValueError:
                continue
            if event.get("type") == "session.update":
                audio = event.get("session", {}).get("audio", {}).get("input", {}).get("format", {})
                encoding[source] = audio.get("type", "")
            if event.get("type") != "input_audio_buffer.append":
                continue
            audio = base64.b64decode(event["audio"])
            if "pcmu" in encoding.get(source, ""):
                answerer.take(any(TABLE[code] > LOUD for code in audio), now)
            else:
                samples = struct.unpack(f"<{len(audio) // 2}h", audio)
                answerer.take(any(abs(sample) > LOUD for sample in samples), now)

delays = []
for moment in caller.times:
    after = [other - moment for other in answerer.times if 0 <= other - moment < 0.5]
    if after:
        delays.append(min(after) * 1000)
delays.sort()
if len(delays) < 5:
    sys.exit(f"{kind}: {len(caller.times)} bursts sent, {len(answerer.times)} at the provider: too few to say anything")
p95 = delays[min(len(delays) - 1, int(len(delays) * 0.95))]
print(json.dumps({"n": len(delays), "p50": delays[len(delays) // 2], "p95": p95, "max": delays[-1]}))
