import Assistants
import Foundation
import Networking
import PhoneServer
import Records
import Simulators
import Telephony
import Testing

/// Whole calls over real sockets: phone, gateway, OpenAI's protocol, Event Socket.
@Suite(.serialized, .timeLimit(.minutes(2))) struct CallPathTests {
    private func path(_ call: CallID) -> String { "/stream/\(TestGateway.tenant)/\(call)" }

    /// Dials, and waits until the greeting was heard.
    private func greeted(_ gateway: TestGateway, _ call: CallID) async throws -> TestPhone {
        let phone = try await TestPhone.dial(
            port: gateway.port, path: self.path(call), on: gateway.group.loops[0])
        try await eventually("a greeting") { phone.heard.value.audio > 3200 }
        return phone
    }

    /// Waits until the agent has been silent for a moment.
    private func quiet(_ phone: TestPhone) async throws {
        try await eventually("silence") {
            let before = phone.heard.value.audio
            try await Task.sleep(for: .milliseconds(200))
            return phone.heard.value.audio == before
        }
    }

    private func say(_ phone: TestPhone, for time: Duration = .milliseconds(500)) async throws {
        phone.speak(true)
        try await Task.sleep(for: time)
        phone.speak(false)
    }

    @Test("A caller is greeted, heard, answered and written down")
    func wholeCall() async throws {
        let gateway = try await TestGateway()
        let call = try await gateway.makeChannel()
        let phone = try await self.greeted(gateway, call)
        try await eventually("greeting over") { try await gateway.record()?.responses.first?.status == "completed" }
        try await self.quiet(phone)
        let greeting = phone.heard.value.audio
        try await self.say(phone)
        try await eventually("an answer") { phone.heard.value.audio > greeting + 6400 }
        phone.hangUp()
        try await eventually("a record") { gateway.finished.value.count == 1 }
        let finished = try #require(gateway.finished.value.first)
        #expect(finished.call.id == call)
        #expect(finished.call.termination.reason == "caller-hung-up")
        #expect(finished.call.providers.map(\.text) == ["openai"])
        #expect(finished.turns.map(\.role) == [.agent, .caller, .agent])
        #expect(finished.turns.last?.latency != nil)
        #expect(finished.call.quality.uplinkBytes > 320 * 20)
        try await eventually("its place is given back") { gateway.gateway.liveCalls == 0 }
        #expect(gateway.livedWhenFinished.value == [1], "who waits for the last call finds its record under way")
        let record = try #require(try await gateway.record())
        #expect(record.errors.isEmpty)
        #expect(record.appended > .milliseconds(400))
        try await gateway.stop()
    }

    @Test("A caller who interrupts is heard: flush, truncate to what was heard, no audio after it")
    func bargeIn() async throws {
        var script = OpenAIRealtimeScript()
        script.greeting = .init("Long.", sound: .tone(hertz: 700, .seconds(20)))
        let gateway = try await TestGateway(scripts: [script])
        let call = try await gateway.makeChannel()
        let phone = try await self.greeted(gateway, call)
        try await self.say(phone, for: .milliseconds(300))
        try await eventually("a truncation") { try await gateway.record()?.truncations.isEmpty == false }
        let cut = try #require(try await gateway.record()?.truncations.first)
        #expect(cut.milliseconds <= cut.duration)
        #expect(cut.milliseconds > 0)
        #expect(phone.heard.value.texts.contains { $0.contains("stopAudio") })
        // The server interrupts by itself here; our cancel may come after it, which is harmless.
        let errors = try #require(try await gateway.record()).errors
        #expect(errors.allSatisfy { $0 == "response_cancel_not_active" })
        phone.hangUp()
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        let interrupted = try #require(gateway.finished.value.first).turns.first { $0.wasInterrupted }
        #expect(interrupted?.heard.map { $0 < .seconds(20) } == true)
        try await gateway.stop()
    }

    @Test("A cough pauses and resumes; the provider is told nothing")
    func falseInterruption() async throws {
        var script = OpenAIRealtimeScript()
        script.greeting = .init("Long.", sound: .tone(hertz: 700, .seconds(3)))
        let gateway = try await TestGateway(
            scripts: [script],
            change: { _, defaults in
                defaults.resumeWindow = .milliseconds(400)
            })
        let call = try await gateway.makeChannel()
        let phone = try await self.greeted(gateway, call)
        try await self.say(phone, for: .milliseconds(120))
        try await eventually("a flush") { phone.heard.value.audioAtFlush != nil }
        // Three seconds of L16 at 8 kHz are 48 000 bytes; what was flushed is sent again.
        try await eventually("all of the greeting") { phone.heard.value.audio >= 47_000 }
        #expect(try await gateway.record()?.truncations.isEmpty == true)
        #expect(try await gateway.record()?.cancels == 0)
        phone.hangUp()
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        #expect(try #require(gateway.finished.value.first).call.quality.falseInterruptions == 1)
        try await gateway.stop()
    }

    @Test("A tool hands the caller over after the words were heard")
    func transfer() async throws {
        var script = OpenAIRealtimeScript()
        script.answers = [
            .init(
                "One moment.", sound: .tone(hertz: 500, .milliseconds(600)),
                tools: [.init("transfer_call", arguments: #"{"destination":"Sales"}"#)])
        ]
        let gateway = try await TestGateway(scripts: [script])
        let call = try await gateway.makeChannel()
        let phone = try await self.greeted(gateway, call)
        try await self.quiet(phone)
        try await self.say(phone)
        try await eventually("uuid_transfer") {
            try await gateway.commands(about: call).contains { $0.contains("uuid_transfer \(call) 200 XML internal") }
        }
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        let finished = try #require(gateway.finished.value.first)
        #expect(finished.call.termination.reason == "transferred")
        #expect(finished.call.transferredTo?.name == "Sales")
        #expect(finished.conversation?.finalAction == .transfer)
        try await gateway.stop()
    }

    @Test("A channel of another tenant is never handed over, whatever id the path claims")
    func foreignChannel() async throws {
        var script = OpenAIRealtimeScript()
        script.answers = [
            .init(
                "One moment.", sound: .tone(hertz: 500, .milliseconds(400)),
                tools: [.init("transfer_call", arguments: #"{"destination":"Sales"}"#)])
        ]
        let gateway = try await TestGateway(scripts: [script])
        let call = try await gateway.makeChannel(variables: ["domain_uuid": TestGateway.otherTenant.text])
        let phone = try await self.greeted(gateway, call)
        try await self.quiet(phone)
        try await self.say(phone)
        try await eventually("the failed hand-over is told") { gateway.voice.spoken.value.contains("transfer-failed") }
        #expect(try await gateway.commands(about: call).allSatisfy { $0.contains("uuid_getvar") })
        phone.hangUp()
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        try await gateway.stop()
    }

    private static func toSales() -> OpenAIRealtimeScript {
        var script = OpenAIRealtimeScript()
        script.answers = [
            .init(
                "One moment.", sound: .tone(hertz: 500, .milliseconds(400)),
                tools: [.init("transfer_call", arguments: #"{"destination":"Sales"}"#)])
        ]
        return script
    }

    @Test("A leg whose path names no call says its channel later, and is handed over by it")
    func channelByMetadata() async throws {
        let gateway = try await TestGateway(scripts: [Self.toSales()])
        let channel = try await gateway.makeChannel(variables: ["domain_uuid": TestGateway.tenant.text])
        let phone = try await TestPhone.dial(
            port: gateway.port, path: "/rt/\(TestGateway.tenant)", on: gateway.group.loops[0])
        phone.send(#"{"event":"start","call_uuid":"\#(channel)"}"#)
        try await eventually("a greeting") { phone.heard.value.audio > 3200 }
        try await self.quiet(phone)
        try await self.say(phone)
        try await eventually("uuid_transfer") {
            try await gateway.commands(about: channel).contains {
                $0.contains("uuid_transfer \(channel) 200 XML internal")
            }
        }
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        let finished = try #require(gateway.finished.value.first)
        #expect(finished.call.termination.reason == "transferred")
        #expect(finished.call.id != channel, "the name that it was registered by")
        let tool = try #require(finished.tools.first)
        #expect(tool.name == "transfer_call" && tool.outcome == .succeeded && tool.duration > .milliseconds(100))
        #expect(tool.arguments.value == #"{"destination":"Sales"}"#)
        try await gateway.stop()
    }

    @Test("A channel of another tenant, or of another call, is not taken from the metadata", arguments: [true, false])
    func foreignMetadata(isOtherTenant: Bool) async throws {
        let gateway = try await TestGateway(scripts: [Self.toSales()])
        let channel = try await gateway.makeChannel(
            variables: isOtherTenant ? ["domain_uuid": TestGateway.otherTenant.text] : [:])
        let holder = isOtherTenant ? nil : try await self.greeted(gateway, channel)
        let phone = try await TestPhone.dial(
            port: gateway.port, path: "/rt/\(TestGateway.tenant)", on: gateway.group.loops[0])
        phone.send(#"{"event":"start","call_uuid":"\#(channel)"}"#)
        try await eventually("a greeting") { phone.heard.value.audio > 3200 }
        try await self.quiet(phone)
        try await self.say(phone)
        try await eventually("the failed hand-over is told") { gateway.voice.spoken.value.contains("transfer-failed") }
        #expect(try await gateway.commands(about: channel).allSatisfy { $0.contains("uuid_getvar") })
        phone.hangUp()
        holder?.hangUp()
        try await eventually("the records") { gateway.finished.value.count == (holder == nil ? 1 : 2) }
        let tool = gateway.finished.value.flatMap(\.tools).first
        #expect(tool?.outcome == .failed)
        try await gateway.stop()
    }

    static let faults: [(String, OpenAIRealtimeScript.Mishap)] = [
        ("silent from the start", .init(.opened, .silence)),
        ("silent in place of the answer", .init(.response(1), .silence)),
        ("closes 1000", .init(.response(1), .close(code: 1000, reason: "bye"))),
        ("closes 1001", .init(.response(1), .close(code: 1001, reason: "going"))),
        ("closes 1008", .init(.configured, .close(code: 1008, reason: "policy"))),
        ("closes 1011", .init(.midResponse(1), .close(code: 1011, reason: "internal"))),
        ("closes 4000", .init(.midResponse(1), .close(code: 4000, reason: "own"))),
        ("cut", .init(.midResponse(1), .reset)),
        ("expired", .init(.response(1), .expiry)),
        ("out of quota", .init(.response(1), .failedResponse(code: "insufficient_quota", message: "no money"))),
    ]

    @Test("Whatever a provider does, the caller reaches a human", arguments: faults)
    func everyFaultEndsWithAHuman(name: String, mishap: OpenAIRealtimeScript.Mishap) async throws {
        var script = OpenAIRealtimeScript()
        script.greeting = .init("Hello.", sound: .tone(hertz: 700, .milliseconds(600)))
        script.mishaps = [mishap]
        let gateway = try await TestGateway(
            scripts: [script],
            change: { _, defaults in
                defaults.deadlines.ready = .milliseconds(700)
            })
        let call = try await gateway.makeChannel()
        let phone = try await TestPhone.dial(
            port: gateway.port, path: self.path(call), on: gateway.group.loops[0])
        try await eventually(within: .seconds(15), "the fallback extension (\(name))") {
            try await gateway.commands(about: call).contains { $0.contains("uuid_transfer \(call) 100 XML default") }
        }
        try await eventually("a record (\(name))") { !gateway.finished.value.isEmpty }
        let finished = try #require(gateway.finished.value.first)
        #expect(finished.call.termination.reason == "assistants-exhausted")
        #expect(finished.call.termination.fault == .provider)
        #expect(gateway.voice.spoken.value.contains("apology"))
        #expect(phone.heard.value.audio > 0, "something was heard before the transfer")
        try await gateway.stop()
    }

    @Test("One provider refuses, the next takes the call", arguments: [401, 403, 429, 500, 503])
    func nextProvider(status: Int) async throws {
        var broken = OpenAIRealtimeScript()
        broken.handshakeStatus = status
        let gateway = try await TestGateway(scripts: [broken, OpenAIRealtimeScript()])
        let call = try await gateway.makeChannel()
        let phone = try await self.greeted(gateway, call)
        phone.hangUp()
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        #expect(try await gateway.record(of: 1)?.appended ?? .zero > .zero)
        try await gateway.stop()
    }

    @Test(
        "Garbage in the middle changes nothing",
        arguments: [
            OpenAIRealtimeScript.Fault.malformed, .binary, .huge(bytes: 300_000),
        ])
    func garbage(fault: OpenAIRealtimeScript.Fault) async throws {
        var script = OpenAIRealtimeScript()
        script.greeting = .init("Hello.", sound: .tone(hertz: 700, .seconds(1)))
        script.mishaps = [.init(.midResponse(1), fault)]
        let gateway = try await TestGateway(scripts: [script])
        let call = try await gateway.makeChannel()
        let phone = try await self.greeted(gateway, call)
        try await eventually("all of the greeting") { phone.heard.value.audio >= 15_500 }
        phone.hangUp()
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        #expect(try #require(gateway.finished.value.first).call.termination.reason == "caller-hung-up")
        try await gateway.stop()
    }

    @Test("A provider that streams faster than memory is stopped, and the call goes on")
    func flood() async throws {
        var script = OpenAIRealtimeScript()
        script.mishaps = [.init(.response(1), .flood(.seconds(400)))]
        let gateway = try await TestGateway(scripts: [script])
        let call = try await gateway.makeChannel()
        let phone = try await self.greeted(gateway, call)
        // A debug build decodes some megabytes of it first.
        try await eventually(within: .seconds(60), "a cancel or a truncation") {
            guard let record = try await gateway.record() else { return false }
            return record.cancels > 0 || !record.truncations.isEmpty
        }
        #expect(gateway.gateway.liveCalls == 1)
        phone.hangUp()
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        try await gateway.stop()
    }

    @Test("A second connection of the call goes on where the first was cut", arguments: [1, 2])
    func takeOver(loops: Int) async throws {
        var script = OpenAIRealtimeScript()
        script.greeting = .init("Long.", sound: .tone(hertz: 700, .seconds(4)))
        let gateway = try await TestGateway(scripts: [script], loops: loops)
        let call = try await gateway.makeChannel()
        let first = try await self.greeted(gateway, call)
        first.cut()
        var second: TestPhone?
        try await eventually("a second connection") {
            second = try? await TestPhone.dial(
                port: gateway.port, path: self.path(call), on: gateway.group.loops[0])
            return second != nil
        }
        let phone = try #require(second)
        try await eventually("the rest of the greeting") { phone.heard.value.audio > 16_000 }
        #expect(try await gateway.simulators[0].records().count == 1, "the same conversation, not a new one")
        #expect(gateway.gateway.liveCalls == 1)
        phone.hangUp()
        try await eventually("one record") { gateway.finished.value.count == 1 }
        try await gateway.stop()
    }

    @Test("A module that closes and connects anew at once, as after a stop and a start, has the same conversation")
    func closedAndBack() async throws {
        let gateway = try await TestGateway()
        // What comes later than our patience for the channel's own hang-up proves nothing.
        for _ in 0..<5 {
            let before = gateway.finished.value.count
            let call = try await gateway.makeChannel()
            let first = try await self.greeted(gateway, call)
            let began = ContinuousClock.now
            first.hangUp()
            var second: TestPhone?
            try await eventually("a second connection") {
                second = try? await TestPhone.dial(
                    port: gateway.port, path: self.path(call), on: gateway.group.loops[0])
                return second != nil
            }
            let isInTime = ContinuousClock.now - began < .milliseconds(150)
            let phone = try #require(second)
            try await Task.sleep(for: .milliseconds(500))
            if isInTime { #expect(gateway.finished.value.count == before, "nobody has hung up") }
            phone.hangUp()
            try await eventually("a record") { gateway.finished.value.count > before && gateway.gateway.liveCalls == 0 }
            if isInTime { return try await gateway.stop() }
        }
        Issue.record("no second connection came within 150 ms in five calls")
    }

    @Test(
        "A call stops following its channel by the Event Socket that it followed it by, whatever the settings say then")
    func eventSocketChanged() async throws {
        let old = WatchedControl()
        let new = WatchedControl()
        let isChanged = Observed(false)
        let gateway = try await TestGateway(controls: { link in
            old.link.change { $0 = link }
            return isChanged.value ? new : old
        })
        let call = try await gateway.makeChannel()
        let phone = try await self.greeted(gateway, call)
        try await eventually("followed") { old.watched.value == [call] }
        isChanged.change { $0 = true }
        phone.hangUp()
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        try await eventually("not followed any more") { old.watched.value.isEmpty }
        #expect(new.unwatched.value == 0)
        try await gateway.stop()
    }

    @Test("A media connection that does not come back ends the call, and says whose fault it was")
    func lostPhone() async throws {
        let gateway = try await TestGateway()
        let call = try await gateway.makeChannel()
        let phone = try await self.greeted(gateway, call)
        phone.cut()
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        #expect(try #require(gateway.finished.value.first).call.termination == .phoneLost)
        try await gateway.stop()
    }

    @Test("A hang-up on the channel ends the call although the socket stays open")
    func channelHangup() async throws {
        let gateway = try await TestGateway()
        let call = try await gateway.makeChannel()
        let phone = try await self.greeted(gateway, call)
        try await gateway.freeSwitch.change { core, effects in core.hangUp(call, into: &effects) }
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        try await eventually("the socket is closed properly") { phone.heard.value.end != nil }
        try await gateway.stop()
    }

    @Test("A message too large for any phone costs that connection, not the gateway")
    func oversize() async throws {
        let gateway = try await TestGateway()
        let call = try await gateway.makeChannel()
        let phone = try await self.greeted(gateway, call)
        phone.sendBinary(400_000)
        try await eventually("closed") { phone.heard.value.end != nil }
        let other = try await self.greeted(gateway, try await gateway.makeChannel())
        other.hangUp()
        try await eventually("both are written down") { gateway.finished.value.count == 2 }
        try await gateway.stop()
    }

    @Test("A drain lets calls finish, refuses new ones, and hands over what is left with a sentence")
    func drain() async throws {
        let gateway = try await TestGateway()
        let call = try await gateway.makeChannel()
        _ = try await self.greeted(gateway, call)
        gateway.gateway.drain()
        let refused = try await gateway.makeChannel()
        await #expect(throws: WebSocketConnectError.refused(status: 503)) {
            _ = try await TestPhone.dial(
                port: gateway.port, path: self.path(refused), on: gateway.group.loops[0])
        }
        gateway.gateway.handOverRemaining()
        try await eventually("the fallback") {
            try await gateway.commands(about: call).contains { $0.contains("uuid_transfer \(call) 100 XML default") }
        }
        #expect(gateway.voice.spoken.value == ["apology"])
        try await eventually("a record") { !gateway.finished.value.isEmpty }
        #expect(try #require(gateway.finished.value.first).call.termination.reason == "draining")
        try await gateway.stop()
    }

    @Test("Fifty calls come and go and leave nothing behind")
    func nothingOutlivesACall() async throws {
        let gateway = try await TestGateway(loops: 2)
        let loops = gateway.group.loops
        for round in 0..<5 {
            var phones: [TestPhone] = []
            for index in 0..<10 {
                let call = try await gateway.makeChannel()
                phones.append(
                    try await TestPhone.dial(port: gateway.port, path: self.path(call), on: loops[index % 2]))
            }
            try await eventually("all are greeted") { phones.allSatisfy { $0.heard.value.audio > 320 } }
            for (index, phone) in phones.enumerated() { index % 3 == 0 ? phone.cut() : phone.hangUp() }
            try await eventually("all are written down") { gateway.finished.value.count == (round + 1) * 10 }
        }
        try await eventually("all places are given back") { gateway.gateway.liveCalls == 0 }
        try await eventually("no channel is watched any more") {
            try await gateway.freeSwitch.commands().filter { $0.hasPrefix("filter delete") }.count == 50
        }
        try await eventually("no timers are left but the Event Socket's") {
            var timers = 0
            for loop in loops { timers += try await loop.run { loop.timerCount } }
            return timers <= 2
        }
        try await gateway.stop()
    }
}
