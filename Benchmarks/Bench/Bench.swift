import Audio
import CAllocations
import Foundation
import MediaDialects
import Networking
import Stores
import Telephony

// pronto-bench: nanoseconds and heap allocations of what a call does every 20 ms, without sockets.
//
// `pronto-bench [--check]`: with `--check` the exit status is 1 when the paths that must not allocate did (design §3).
// `pronto-bench routing`: who answers, and when (`RoutingLoad`).
// `pronto-bench configuration`: a large installation's configuration (`ConfigurationLoad`).
// `pronto-bench esl`: events of the Event Socket (`EventSocketLoad`). `pronto-bench rtp-loss`: the tables of docs/rtp.md.
// How to read them: docs/benchmarks.md.

@main
struct Bench {
    static func main() async throws {
        let words = Array(CommandLine.arguments.dropFirst())
        if words == ["rtp-loss"] { return try RTPLoss.run() }
        if words.first == "configuration" {
            let numbers = words.dropFirst(2).map { Int($0) ?? 0 }
            guard words.count > 1, let database = SQLDialect(rawValue: words[1]), numbers.count <= 2,
                numbers.allSatisfy({ (1...100_000).contains($0) })
            else {
                print("pronto-bench configuration sqlite|postgres [TENANTS=10000] [ASSISTANTS-OF-EACH=5]")
                exit(64)
            }
            return try await ConfigurationLoad.run(
                database, tenants: numbers.first ?? 10_000, assistants: numbers.count > 1 ? numbers[1] : 5)
        }
        if words.first == "esl" {
            let rate = words.count > 1 ? Int(words[1]) : 2000
            let seconds = words.count > 2 ? Int(words[2]) : 10
            guard let rate, let seconds, (1...100_000).contains(rate), (1...3600).contains(seconds) else {
                print("pronto-bench esl [EVENTS-PER-SECOND=2000] [SECONDS=10]")
                exit(64)
            }
            exit(try await EventSocketLoad.run(rate: rate, seconds: seconds))
        }
        if words.first == "routing" {
            let rate = words.count > 1 ? Int(words[1]) : 1000
            let seconds = words.count > 2 ? Int(words[2]) : 10
            guard let rate, let seconds, (1...100_000).contains(rate), (1...3600).contains(seconds) else {
                print("pronto-bench routing [QUESTIONS-PER-SECOND=1000] [SECONDS=10]")
                exit(64)
            }
            exit(try await RoutingLoad.run(rate: rate, seconds: seconds))
        }
        let isChecked: Bool = CommandLine.arguments.dropFirst().contains("--check")
        // A counter that counts nothing would praise everything.
        let before: UInt64 = pronto_allocations()
        keep([UInt8](repeating: 1, count: 100_000))
        guard pronto_allocations() > before else {
            print("pronto-bench: allocations are not counted in this build")
            exit(2)
        }
        var findings: [Finding] = try self.calls()
        findings += try self.pieces()
        self.show(findings)
        let bad = findings.filter { $0.mustNotAllocate && $0.allocations > 0 }
        guard isChecked, !bad.isEmpty else { return }
        for finding in bad { print("FAILED: \(finding.name) allocates in steady state") }
        exit(1)
    }

    private static func show(_ findings: [Finding]) {
        let width: Int = findings.map(\.name.count).max() ?? 0
        print(self.padded("per operation", width) + "        ns   allocations     bytes")
        for finding in findings {
            let numbers = String(
                format: "%10.0f %13.3f %9.1f", finding.nanoseconds, finding.allocations, finding.allocatedBytes)
            print(self.padded(finding.name, width) + numbers + (finding.mustNotAllocate ? "  (must be 0)" : ""))
        }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    // MARK: Whole paths

    private static let kinds: [BenchedCall.Kind] = [
        BenchedCall.Kind(name: "L16 16 kHz", leg: .l16(.wideband), style: .streamAudio),
        BenchedCall.Kind(name: "PCMU pass-through", leg: .pcmu, style: .binary),
    ]

    /// The uplink is what a frame of the phone costs until the provider's message is composed; the downlink is 100 ms of
    /// answer from the provider's delta to five messages for the phone, counted per 20 ms frame.
    private static func calls() throws -> [Finding] {
        var findings: [Finding] = []
        for kind in self.kinds {
            let call = try BenchedCall(kind)
            let frame: [UInt8] = self.tone(kind.leg, .milliseconds(20))
            findings.append(
                measure("uplink frame, \(kind.name)", operations: 2000, mustNotAllocate: true) {
                    frame.withUnsafeBytes { bytes in
                        for _ in 0..<2000 {
                            call.now += .milliseconds(20)
                            call.fromPhone(bytes)
                        }
                    }
                })
            guard call.messagesToProvider >= 2000 else { throw BenchFailure.nothingWasCarried(kind.name) }
            let delta: [UInt8] = Array(self.delta(kind.leg.encoding == .l16 ? .l16(.realtime) : kind.leg).utf8)
            call.fromProvider("{\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}")
            findings.append(
                measure("downlink frame, \(kind.name)", operations: 2000, mustNotAllocate: true) {
                    delta.withUnsafeBytes { bytes in
                        for _ in 0..<400 {
                            call.fromProvider(.text(.main, bytes))
                            for _ in 0..<5 {
                                call.now += .milliseconds(20)
                                call.wake()
                            }
                        }
                    }
                })
            guard call.framesToPhone >= 2000 else { throw BenchFailure.nothingWasCarried(kind.name) }
        }
        return findings
    }

    /// 100 ms of answer as the provider writes it.
    private static func delta(_ format: AudioFormat) -> String {
        var text: [UInt8] = []
        self.tone(format, .milliseconds(100)).withUnsafeBytes { Base64.encode($0, into: &text) }
        return "{\"type\":\"response.output_audio.delta\",\"event_id\":\"event_1\",\"response_id\":\"resp_1\","
            + "\"item_id\":\"item_1\",\"output_index\":0,\"content_index\":0,\"delta\":\""
            + String(decoding: text, as: UTF8.self) + "\"}"
    }

    /// A tone of 440 Hz at a quarter of full scale.
    private static func tone(_ format: AudioFormat, _ length: Duration) -> [UInt8] {
        let samples: [Int16] = (0..<format.rate.samples(in: length)).map { index in
            Int16(8192 * sin(2 * Double.pi * 440 * Double(index) / Double(format.rate.hertz)))
        }
        var bytes: [UInt8] = []
        samples.withUnsafeBufferPointer { samples in
            if let law = format.encoding.law {
                G711.encode(samples, as: law, into: &bytes)
            } else {
                bytes.append(contentsOf: UnsafeRawBufferPointer(samples))
            }
        }
        return bytes
    }

    // MARK: Pieces

    private static func pieces() throws -> [Finding] {
        var findings: [Finding] = []
        let pairs: [(AudioFormat, AudioFormat)] = [
            (.l16(.wideband), .l16(.realtime)), (.l16(.realtime), .l16(.wideband)), (.pcmu, .l16(.realtime)),
            (.l16(.realtime), .pcmu),
        ]
        for (source, target) in pairs {
            var transcoder = try Transcoder(from: source, to: target)
            let frame: [UInt8] = self.tone(source, .milliseconds(20))
            var output: [UInt8] = []
            findings.append(
                measure("transcode 20 ms, \(source) to \(target)", operations: 2000, mustNotAllocate: true) {
                    for _ in 0..<2000 {
                        output.removeAll(keepingCapacity: true)
                        frame.withUnsafeBytes { transcoder.convert($0, into: &output) }
                    }
                })
        }
        findings += self.wires()
        findings += RTPBench.findings()
        findings += try SileroBench.findings()
        return findings
    }

    private static func wires() -> [Finding] {
        var findings: [Finding] = []
        let audio: [UInt8] = self.tone(.l16(.realtime), .milliseconds(100))
        var text: [UInt8] = []
        var plain: [UInt8] = []
        findings.append(
            measure("Base64 encode, \(audio.count) bytes", operations: 2000, mustNotAllocate: true) {
                for _ in 0..<2000 {
                    text.removeAll(keepingCapacity: true)
                    audio.withUnsafeBytes { Base64.encode($0, into: &text) }
                }
            })
        findings.append(
            measure("Base64 decode, \(text.count) characters", operations: 2000, mustNotAllocate: true) {
                for _ in 0..<2000 {
                    plain.removeAll(keepingCapacity: true)
                    text.withUnsafeBytes { text in
                        do { try Base64.decode(text, into: &plain) } catch { preconditionFailure("valid Base64") }
                    }
                }
            })
        let message: [UInt8] = Array(self.delta(.l16(.realtime)).utf8)
        findings.append(
            measure("JSON scan of an audio delta, \(message.count) bytes", operations: 2000, mustNotAllocate: true) {
                message.withUnsafeBytes { message in
                    for _ in 0..<2000 {
                        guard let scan = try? JSONScan(message), let delta = scan["delta"] else { continue }
                        keep(delta.bytes.count)
                    }
                }
            })
        findings.append(self.level())
        findings.append(self.webSocketFrame())
        return findings
    }

    private static func level() -> Finding {
        let frame: [UInt8] = self.tone(.l16(.wideband), .milliseconds(20))
        return measure("level of a frame, L16 16 kHz", operations: 2000, mustNotAllocate: true) {
            frame.withUnsafeBytes { frame in
                for _ in 0..<2000 { keep(Level(of: frame, encoding: .l16).rms) }
            }
        }
    }

    private static func webSocketFrame() -> Finding {
        var bytes = [UInt8](repeating: 0x55, count: 648)
        bytes.withUnsafeMutableBytes { bytes in
            _ = FrameHeader.write(.binary, compressed: false, payload: 640, mask: 0x1234_5678, to: bytes)
        }
        return measure("WebSocket frame, parse and unmask 640 bytes", operations: 2000, mustNotAllocate: true) {
            bytes.withUnsafeMutableBytes { bytes in
                for _ in 0..<2000 {
                    let parsed = try? FrameHeader.parse(
                        UnsafeRawBufferPointer(bytes), expectsMask: true, allowsCompression: false)
                    guard case .header(let header, let size)? = parsed, let mask = header.mask else { continue }
                    unmask(UnsafeMutableRawBufferPointer(rebasing: bytes[size...]), mask)
                }
            }
        }
    }
}

/// The bench would have measured nothing.
enum BenchFailure: Error {
    case nothingWasCarried(String)
}
