import Audio
import Glibc
import Networking
import Telephony

/// Good input for each decoder, for the fuzzer to begin from. scripts/fuzz adds the tests' fixtures.
enum Seeds {
    /// Writes `<folder>/<decoder>/seed-<n>`. False when a file cannot be written.
    static func write(to folder: String) -> Bool {
        for decoder in FuzzedDecoder.allCases {
            let place = "\(folder)/\(decoder.rawValue)"
            guard mkdir(place, 0o755) == 0 || errno == EEXIST else { return self.complain(place) }
            for (index, seed) in self.seeds(decoder).enumerated() {
                guard Files.write(seed, to: "\(place)/seed-\(index)") else { return self.complain(place) }
            }
        }
        return true
    }

    private static func complain(_ place: String) -> Bool {
        print("pronto-fuzz: cannot write to \(place)")
        return false
    }

    private static func seeds(_ decoder: FuzzedDecoder) -> [[UInt8]] {
        switch decoder {
        case .sip: self.bytes(SIPFuzzing.messages)
        case .sdp: self.bytes(SIPFuzzing.descriptions)
        case .webSocket: self.frames
        case .httpRequest:
            self.bytes([
                "GET /stream/\(DialectFuzzing.tenant)/\(DialectFuzzing.call) HTTP/1.1\r\nHost: localhost\r\n"
                    + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version:13\r\n"
                    + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                "POST /v1/calls HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            ])
        case .httpResponse:
            self.bytes([
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    + "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
            ])
        case .chunkedBody: self.bytes(["4\r\nabcd\r\n0\r\n\r\n", "2;name=value\r\nab\r\n0\r\nTrailer: a\r\n\r\n"])
        case .eventSocket:
            self.bytes([
                "Content-Type: auth/request\n\n", "Content-Type: command/reply\nReply-Text: +OK accepted\n\n",
                "Content-Length: 17\nContent-Type: text/event-plain\n\nEvent-Name: DTMF\n",
                "Content-Length: 21\nContent-Type: text/event-json\n\n{\"Event-Name\":\"DTMF\"}",
            ])
        case .modAudioStream, .modAudioStreamFork, .binaryDown, .drachtioFork, .jambonzFork:
            self.bytes(self.legTexts.map { "0" + $0 }) + [[0x80] + [UInt8](repeating: 0x11, count: 700)]
        case .streamRequest:
            self.bytes([
                "/stream/\(DialectFuzzing.tenant)/\(DialectFuzzing.call)/1001?rate=16k&encoding=l16",
                "/api/voip/ai-gateway/route?callId=1&tenantId=\(DialectFuzzing.tenant)&did=1&caller=2&aiAgentRef=a",
                "/rt/tenant?dialect=mod-audio-stream&channels=stereo",
            ])
        case .jsonScan: self.bytes(self.legTexts + self.serverEvents + ["[1,-2.5e3,true,null,\"\\ud83d\\ude00\"]"])
        case .base64: self.bytes(["", "QQ==", "QUI=", "QUJD", "////++++"])
        case .wav:
            [AudioFormat.l16(.wideband), .pcmu, .pcma, AudioFormat(.l16, .narrowband, channels: 2)].map {
                WAV(format: $0, samples: [UInt8](repeating: 3, count: 64)).encoded()
            }
        case .openAI: self.bytes(self.serverEvents + [self.serverEvents.joined(separator: "\n")])
        case .elevenLabs:
            self.bytes(
                CloudFuzzing.elevenLabsEvents + [CloudFuzzing.elevenLabsEvents.joined(separator: "\n")])
        case .gemini:
            self.bytes(CloudFuzzing.geminiEvents + [CloudFuzzing.geminiEvents.joined(separator: "\n")])
        case .pipelineChat: self.bytes(PipelineFuzzing.chatSeeds)
        case .pipelineAnthropic: self.bytes(PipelineFuzzing.anthropicSeeds)
        case .toml:
            self.bytes(["# a\n[openai]\nrealtime_model = \"a\\u0041\" # b\n[a.\"b\"]\nlist = [1, 2.5,\n true]\n"])
        case .dotEnv: self.bytes(["# a\nexport REALTIME_PORT=8085\nOPENAI_API_KEY='k'\nLOG_LEVEL=\"info\\n\"\n"])
        case .rtp: RTPFuzzing.streams
        case .rtcp: RTPFuzzing.controls
        case .jsonFile: self.bytes(["{\"openai\":{\"realtime_model\":\"a\"},\"REALTIME_PORT\":8085}"])
        }
    }

    private static func bytes(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    private static let legTexts: [String] = [
        "{\"event\":\"start\",\"call_uuid\":\"\(DialectFuzzing.call)\",\"rate\":\"8k\",\"mix\":\"mono\"}",
        "{\"event\":\"session_start\",\"callId\":\"\(DialectFuzzing.call)\",\"caller\":\"1001\",\"did\":\"2002\"}",
        "{\"type\":\"dtmf\",\"digit\":\"5\"}", "{\"event\":\"dtmf\",\"dtmf\":\"2\",\"duration\":\"1600\"}",
        "{\"type\":\"hangup\"}",
        "{\"type\": \"mark\", \"data\": {\"name\":\"item-1\", \"event\": \"playout\"}}",
    ]

    private static let serverEvents: [String] = [
        "{\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}",
        "{\"type\":\"response.output_item.added\",\"response_id\":\"r1\",\"item\":{\"id\":\"i1\",\"type\":\"message\"}}",
        "{\"type\":\"response.output_audio.delta\",\"response_id\":\"r1\",\"item_id\":\"i1\",\"content_index\":0,"
            + "\"delta\":\"QUJDRA==\"}",
        "{\"type\":\"response.output_audio_transcript.delta\",\"response_id\":\"r1\",\"item_id\":\"i1\",\"delta\":\"a\"}",
        "{\"type\":\"response.function_call_arguments.done\",\"response_id\":\"r1\",\"call_id\":\"c1\","
            + "\"name\":\"end_call\",\"arguments\":\"{}\"}",
        "{\"type\":\"response.output_audio.done\",\"response_id\":\"r1\",\"item_id\":\"i1\"}",
        "{\"type\":\"response.done\",\"response\":{\"id\":\"r1\",\"status\":\"completed\",\"output\":[],"
            + "\"usage\":{\"input_token_details\":{\"text_tokens\":1}}}}",
        "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":\"u1\",\"audio_start_ms\":1}",
        "{\"type\":\"input_audio_buffer.speech_stopped\",\"item_id\":\"u1\",\"audio_end_ms\":2}",
        "{\"type\":\"input_audio_buffer.committed\",\"item_id\":\"u1\"}",
        "{\"type\":\"conversation.item.input_audio_transcription.completed\",\"item_id\":\"u1\",\"transcript\":\"a\"}",
        "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"code\":\"x\",\"message\":\"m\"}}",
    ]

    private static let frames: [[UInt8]] = {
        let texts: [(Opcode, Int)] = [(.text, 5), (.binary, 640), (.ping, 4), (.close, 2), (.binary, 70_000)]
        return texts.map { opcode, payload in
            var frame = [UInt8](repeating: 0x61, count: 14 + payload)
            let size: Int = frame.withUnsafeMutableBytes {
                FrameHeader.write(opcode, compressed: false, payload: payload, mask: 0, to: $0)
            }
            return Array(frame[..<(size + payload)])
        }
    }()
}
