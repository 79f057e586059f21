import Audio
import Configuration
import Foundation
import Networking
import Simulators
import Synchronization
import Telephony

/// `pronto call`: a software phone that speaks to any gateway as FreeSWITCH's media modules do.
enum CallCommand {
    /// 0: every call was as it should be. 1: one was not. 64: the command line is wrong. 66: a file or the voice
    /// cannot be used.
    static func run(arguments: [String]) async -> Int32 {
        if arguments.contains("--help") {
            print(self.help)
            return 0
        }
        do {
            let order = try CallOrder(arguments)
            let results = try await self.place(order)
            try self.keepRecording(of: results, order)
            let summary = PhoneSummary(results)
            print(order.printsJSON ? summary.json : summary.table, terminator: "")
            return summary.failed == 0 ? 0 : 1
        } catch let error as ArgumentError {
            Pronto.complain("pronto call: \(error)\n\n\(self.help)")
            return 64
        } catch {
            Pronto.complain("pronto call: \(error)")
            return 66
        }
    }

    // MARK: Calling

    private static func place(_ order: CallOrder) async throws -> [PhoneResult] {
        let configuration = try await order.configuration()
        let tls = try order.authority.map { try TLSContext.client(authorities: $0) }
        // A second thread only where one would be the bottleneck.
        let group = EventLoopGroup(count: order.calls > 50 ? 2 : 1, name: "phone")
        defer { group.stop() }
        let showsLive = order.calls == 1 && !order.printsJSON
        let results: [PhoneResult] = await withCheckedContinuation { continuation in
            let collected = Mutex<[PhoneResult]>([])
            let box = Collection(count: order.calls, results: collected, continuation: continuation)
            for index in 0..<order.calls {
                let target = PhoneTarget(
                    url: order.url(index), headers: order.headers, tls: tls, timeout: order.timeout)
                let loop = group.next()
                loop.execute {
                    loop.schedule(after: order.ramp * index) {
                        let phone = PhoneSimulator(configuration: configuration, target: target, on: loop)
                        phone.start(
                            onEvent: showsLive ? { report, _ in self.show(report) } : nil, onEnd: { box.add($0) })
                    }
                }
            }
        }
        return results
    }

    /// Gathers what the loops bring and resumes when all is there.
    private final class Collection: Sendable {
        private let count: Int
        private let results: Mutex<[PhoneResult]>
        private let continuation: CheckedContinuation<[PhoneResult], Never>

        init(
            count: Int, results: consuming sending Mutex<[PhoneResult]>,
            continuation: CheckedContinuation<[PhoneResult], Never>
        ) {
            self.count = count
            self.results = results
            self.continuation = continuation
        }

        func add(_ result: PhoneResult) {
            let all: [PhoneResult]? = self.results.withLock { results in
                results.append(result)
                return results.count == self.count ? results : nil
            }
            if let all { self.continuation.resume(returning: all) }
        }
    }

    private static func keepRecording(of results: [PhoneResult], _ order: CallOrder) throws {
        guard let path = order.output, let recording = results.first?.recording else { return }
        try Data(recording.encoded()).write(to: URL(fileURLWithPath: path), options: .atomic)
        Pronto.complain("recorded: \(path) (left: the caller, right: what the caller heard)")
    }

    /// One line for each thing that happens, on standard error: standard output is the result's.
    private static func show(_ report: PhoneReport) {
        let line: String
        switch report {
        case .connected(let after): line = "connected after \(after.milliseconds) ms"
        case .callerSpeaking(let isSpeaking): line = isSpeaking ? "caller speaks" : "caller is quiet"
        case .agentSpeaking(let isSpeaking): line = isSpeaking ? "agent speaks" : "agent is quiet"
        case .firstAudio(let after): line = "first audio after \(after.milliseconds) ms"
        case .answered(let after): line = "answered after \(after.milliseconds) ms"
        case .interrupted(let after): line = "agent stopped after \(after.milliseconds) ms"
        case .interruptionIgnored: line = "the agent speaks on over the interruption"
        case .unanswered: line = "no answer in time"
        case .flushed: line = "playback flushed"
        case .stepBegan, .heard: return
        }
        Pronto.complain("  " + line)
    }

    static let help = """
        pronto call URL | --to HOST:PORT --domain UUID [options]

          URL                   ws:// or wss://; %u becomes a fresh call UUID, %i the call's index
                                --dialect unicast: esl://127.0.0.1:8022/NUMBER?variable=value&… (the switch's part)
                                --dialect rtp: sip:NUMBER@HOST:5090;tenant=UUID
          --to HOST:PORT        with --domain: ws://HOST:PORT/stream/DOMAIN/CALL, format stated in the query
          --domain UUID         tenant or assistant
          --call UUID           the call's id (one call only); else a fresh one
          --dialect NAME        \(PhoneModule.allCases.map(\.rawValue).joined(separator: ", ")) (fork-pcmu)
          --rate HZ             of L16: 8000, 16000, 24000, 48000 (16000)
          --down-rate HZ        of binary audio from the gateway; else as --rate
          --stereo              left the caller, right what the caller hears
          --buffer-ms N         audio of one message, 20 to 200 (20)
          --metadata TEXT       the module's first text
          --say TEXT            speak this with espeak-ng; again for the next turn
          --language CODE       of --say (en)
          --wav FILE            speak this file, after what --say says
          --digits KEYS         press these keys in the end
          --interrupt-after MS  speak every turn but the first over the agent, after this much of its answer
          --seconds N           stay on the line for this long, turn after turn
          --calls N --ramp MS   many calls, MS apart (1, 50)
          --timeout SECONDS     until the gateway has taken the call, 1 to 60 (2, as mod_audio_stream)
          --token TOKEN         sent as X-Pronto-Token
          --ca FILE             certificate authorities for wss://, in place of the system's
          --out FILE.wav        keep the (first) call: left the caller, right what the caller heard
          --json                one line of JSON in place of the table

        Ends with status 1 when a call failed: refused, lost, a silent agent, an unanswered turn.
        """
}
