import Configuration
import Foundation
import Networking
import Observability
import Records
import Simulators
import SpeechEngines
import Telephony

/// The gateway of `pronto demo` with all that surrounds it: an empty database in a temporary folder, one tenant with one
/// assistant, and a simulated FreeSWITCH on a real Event Socket.
struct DemoGateway: Sendable {
    let process: GatewayProcess
    let freeSwitch: FreeSwitchSimulator
    let switchLoop: EventLoop
    let tenant: TenantID
    let call: CallID
    let hasSilero: Bool
    private let folder: URL

    /// `given` are settings of the environment and the command line, in rising precedence.
    static func start(
        _ scenario: DemoScenario, provider: ProviderName, recordings: String, given: [[RawValue]], screen: DemoScreen
    ) async throws -> DemoGateway {
        guard let tenant = TenantID(UUID().uuidString), let call = CallID(UUID().uuidString.lowercased()) else {
            throw CommandFailure("no identifiers")
        }
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("pronto-demo-\(UUID().uuidString.lowercased())")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        do {
            let loop = EventLoop(name: "switch")
            loop.start()
            let password = UUID().uuidString
            var core = FreeSwitchSimulatorCore(password: password)
            core.addChannel(call)
            for destination in scenario.destinations { core.outcomes[destination.number] = .answers }
            let freeSwitch = try await FreeSwitchSimulator.start(core: core, on: loop) { notice in
                if case .transferred(_, let number, let dialplan, let context) = notice {
                    screen.line(.switching, "channel transferred to \(number) (\(dialplan), context \(context))")
                }
            }
            let stated = given.joined().last { $0.key == "PRONTO_SILERO_MODEL" }?.text
            let model = stated ?? ".deps/models/silero_vad_16k_op15.onnx"
            let hasSilero = SileroDetector.isBuiltIn && FileManager.default.fileExists(atPath: model)
            var own: [(String, String)] = [
                ("REALTIME_PORT", "0"), ("HEALTH_PORT", "0"), ("PRONTO_DATABASE", folder.path + "/pronto.db"),
                ("PRONTO_RECORDING", "true"), ("PRONTO_RECORDINGS", recordings), ("LOG_LEVEL", "error"),
                ("ESL_HOST", "127.0.0.1"), ("ESL_PORT", "\(freeSwitch.port)"), ("ESL_PASSWORD", password),
                // The simulated operator answers at once: a plain transfer shows the same.
                ("TRANSFER_DEFAULT_TIMEOUT", "0"),
                ("PRONTO_DRAIN_SECONDS", "1"),
            ]
            if hasSilero { own += [("PRONTO_VAD", "silero"), ("PRONTO_SILERO_MODEL", model)] }
            let layer = own.map { RawValue(key: $0.0, text: $0.1, origin: .environment) }
            let settings = try Settings(layers: [layer] + given)
            let process = try await GatewayProcess(
                settings: settings, logger: ServeCommand.logger(settings), observer: screen)
            try await Self.fill(process, tenant, scenario, provider)
            process.start()
            return DemoGateway(
                process: process, freeSwitch: freeSwitch, switchLoop: loop, tenant: tenant, call: call,
                hasSilero: settings.voiceDetection == .silero, folder: folder)
        } catch {
            try FileManager.default.removeItem(at: folder)
            throw error
        }
    }

    private static func fill(
        _ process: GatewayProcess, _ tenant: TenantID, _ scenario: DemoScenario, _ provider: ProviderName
    ) async throws {
        guard let id = AssistantID(UUID().uuidString) else { throw CommandFailure("no identifiers") }
        try await process.store.save(Tenant(id: tenant, name: "demo.example"))
        var assistant = Assistant(
            id: id, tenant: tenant, name: scenario.assistant, number: "100", language: scenario.language.rawValue)
        assistant.greeting = scenario.greeting
        assistant.instructions = Redacted(scenario.instructions)
        assistant.topics = scenario.topics
        assistant.providers = [provider]
        try await process.store.save(assistant, of: tenant)
        for (index, destination) in scenario.destinations.enumerated() {
            guard let id = DestinationID(UUID().uuidString) else { throw CommandFailure("no identifiers") }
            var record = DestinationRecord(
                id: id, tenant: tenant, name: destination.name, number: destination.number, context: "demo")
            record.aliases = destination.aliases
            record.priority = index
            record.isDefault = index == 0
            try await process.store.save(record, of: tenant)
        }
        try await process.directory.reload(from: process.store)
    }

    /// What FreeSWITCH would connect to, the format stated.
    var url: String {
        "ws://\(self.process.mediaAddress)/stream/\(self.tenant)/\(self.call)"
            + "?dialect=mod-audio-stream-fork&encoding=l16&rate=16000"
    }

    /// The record of the call once it is written, with what was said.
    func record() async throws -> (call: CallRecord, turns: [TurnRecord])? {
        let store = self.process.store
        // Records are written behind the call's end; two seconds are a hundred times what that takes.
        for _ in 0..<100 {
            if let call = try await store.call(self.call, of: self.tenant) {
                var turns: [TurnRecord] = []
                for conversation in try await store.conversations(of: self.call, tenant: self.tenant) {
                    turns += try await store.turns(of: conversation.id, tenant: self.tenant)
                }
                return (call, turns)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        return nil
    }

    /// The commands that the switch took for the hand-over.
    func transfers() async throws -> [String] {
        try await self.freeSwitch.commands().filter { $0.contains("uuid_transfer \(self.call) ") }
    }

    func stop() async throws {
        await self.process.stop(patience: .seconds(1))
        try await self.freeSwitch.stop()
        self.switchLoop.stop()
        try FileManager.default.removeItem(at: self.folder)
    }
}
