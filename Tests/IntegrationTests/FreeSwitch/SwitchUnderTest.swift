import EventSocket
import Foundation
import Networking
import Observability
import PhoneServer
import Simulators
import Telephony
import Testing

/// The switches that one scenario is held against: the simulator always, a real FreeSWITCH where there is one. So the
/// simulator cannot drift from what it imitates.
enum SwitchUnderTest: String, CaseIterable, CustomTestStringConvertible {
    case simulator, freeSwitch

    static let available: [SwitchUnderTest] = RealFreeSwitch.program == nil ? [.simulator] : [.simulator, .freeSwitch]

    var testDescription: String { self.rawValue }

    /// A switch that runs, and loops beside it; both gone afterwards.
    func withSwitch(_ body: (RunningSwitch) async throws -> Void) async throws {
        let group = EventLoopGroup(count: 1, name: "switch-test")
        defer { group.stop() }
        let running = RunningSwitch(
            self == .simulator ? SimulatedSwitch() : try RealSwitch(), on: group)
        try await running.process.start()
        let result: Result<Void, any Error>
        do {
            try await body(running)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await running.finish()
        try result.get()
    }
}

/// What differs between the two.
private protocol SwitchProcess: AnyObject {
    var port: UInt16 { get }
    /// A folder that the switch may write to.
    var folder: String { get }
    func start() async throws
    /// Ends without a word, as if it had crashed, and starts again on the same port with no channel of before.
    func restart() async throws
    func stop() async
}

/// What a scenario needs of its switch.
final class RunningSwitch {
    fileprivate let process: any SwitchProcess
    let group: EventLoopGroup
    private var links: [ControlLink] = []

    fileprivate init(_ process: any SwitchProcess, on group: EventLoopGroup) {
        self.process = process
        self.group = group
    }

    var port: UInt16 { self.process.port }
    var folder: String { self.process.folder }
    func restart() async throws { try await self.process.restart() }

    /// A link of its own; stopped with the switch.
    func link(_ change: (inout InboundClient.Configuration) -> Void = { _ in }) async throws -> ControlLink {
        var configuration = InboundClient.Configuration(
            password: RealFreeSwitch.password, reconnectDelay: .milliseconds(200),
            maximumReconnectDelay: .milliseconds(400))
        change(&configuration)
        let link = ControlLink(
            host: "127.0.0.1", port: self.port, configuration: configuration, seed: 1,
            jobPrefix: UUID().uuidString.lowercased(), loop: self.group.loops[0], logger: .silent)
        self.links.append(link)
        link.start()
        // A real one loads its modules first.
        try await eventually(within: .seconds(40), "the Event Socket is ready") { link.isAvailable }
        return link
    }

    fileprivate func finish() async {
        for link in self.links { link.stop() }
        await self.process.stop()
    }
}

private final class SimulatedSwitch: SwitchProcess {
    private let group = EventLoopGroup(count: 1, name: "simulator")
    private var simulator: FreeSwitchSimulator?
    private(set) var port: UInt16 = 0
    var folder: String { FileManager.default.temporaryDirectory.path }

    func start() async throws {
        var core = FreeSwitchSimulatorCore(
            password: RealFreeSwitch.password, coreID: UUID().uuidString.lowercased())
        core.outcomes = ["5900": .answers, "2000": .answers, "2001": .doesNotAnswer, "2002": .busy]
        let simulator = try await FreeSwitchSimulator.start(port: Int(self.port), core: core, on: self.group.loops[0])
        self.simulator = simulator
        self.port = simulator.port
    }

    func restart() async throws {
        try await self.simulator?.stop()
        try await self.start()
    }

    func stop() async {
        try? await self.simulator?.stop()  // its loop ends in a moment anyway
        self.group.stop()
    }
}

private final class RealSwitch: SwitchProcess {
    private let real: RealFreeSwitch
    var port: UInt16 { self.real.port }
    var folder: String { self.real.folder + "/temp" }

    init() throws { self.real = try RealFreeSwitch(program: try #require(RealFreeSwitch.program)) }

    func start() async throws { try self.real.start() }
    func restart() async throws {
        self.real.kill()
        try self.real.start()
    }
    func stop() async { self.real.stop() }
}
