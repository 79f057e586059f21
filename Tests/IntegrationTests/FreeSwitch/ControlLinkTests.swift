import EventSocket
import Foundation
import PhoneServer
import Telephony
import Testing

/// The inbound client over TCP: every command of its list, against the simulator and a real FreeSWITCH alike.
@Suite(.serialized) struct ControlLinkTests {
    private static let park = OriginatedCall(
        to: .loopback(extension: "5900", context: "default"), variables: [("domain_uuid", "abc-1")])
    private static let nobody = CallID("11111111-2222-4333-8444-555555555555")!

    /// Why `body` was refused, as the switch words it, by kind; nil: it was not.
    private func refusal(_ body: () async throws -> Void) async -> SwitchRefusal.Kind? {
        do {
            try await body()
            return nil
        } catch let failure as EventSocketFailure {
            if case .refused(let refusal) = failure { return refusal.kind }
            Issue.record("another failure: \(failure.slug)")
        } catch {
            Issue.record("another error: \(error)")
        }
        return nil
    }

    @Test("Every command of the list does what it says", .timeLimit(.minutes(2)), arguments: SwitchUnderTest.available)
    func commands(kind: SwitchUnderTest) async throws {
        try await kind.withSwitch { running in
            let link = try await running.link()
            let one = try await link.originate(Self.park)
            let other = try await link.originate(Self.park)
            #expect(try await link.exists(one))
            #expect(try await link.variable("domain_uuid", of: one)?.value == "abc-1")
            #expect(try await link.variable("not_set", of: one) == nil)
            try await link.setVariable("note", to: "two words", of: one)
            #expect(try await link.variable("note", of: one)?.value == "two words")
            try await link.setVariable("note", to: nil, of: one)
            #expect(try await link.variable("note", of: one) == nil)
            // The switch's table of channels is filled in the background.
            try await eventually("the channels are in the table") {
                Set(try await link.channels().map(\.id)).isSuperset(of: [one, other])
            }
            try await link.broadcast("tone_stream://%(20000,0,440)", to: one)
            try await link.breakPlayback(of: one, all: false)
            try await link.breakPlayback(of: one)
            let file = running.folder + "/pronto-\(UUID().uuidString).wav"
            try await link.startRecording(one, into: file, limit: .seconds(10))
            try await link.stopRecording(one, into: file)
            try await link.sendDigits(Redacted("1w2#"), to: one)
            let target = DialplanTarget(extension: "5900", context: "default")
            try await link.transfer(one, to: target)
            try await link.bridge(one, with: other)
            try await link.transfer(one, .both, to: target)
            try await link.bridge(one, with: other)
            try await link.dualTransfer(one, caller: target, other: target)
            _ = try await link.perform(.hold(one, true))
            try await link.kill(one, cause: .userBusy)
            try await link.kill(other)
            try await eventually("both are gone") {
                let there = [try await link.exists(one), try await link.exists(other)]
                return there == [false, false]
            }
            try? FileManager.default.removeItem(atPath: file)
        }
    }

    @Test("A refusal is typed, in the switch's words", .timeLimit(.minutes(2)), arguments: SwitchUnderTest.available)
    func refusals(kind: SwitchUnderTest) async throws {
        try await kind.withSwitch { running in
            let link = try await running.link()
            let target = DialplanTarget(extension: "5900", context: "default")
            let nobody = Self.nobody
            #expect(try await link.exists(nobody) == false)
            #expect(await self.refusal { try await link.kill(nobody) } == .noSuchChannel)
            #expect(await self.refusal { _ = try await link.variable("a", of: nobody) } == .noSuchChannel)
            #expect(await self.refusal { try await link.setVariable("a", to: "b", of: nobody) } == .noSuchChannel)
            #expect(await self.refusal { try await link.transfer(nobody, to: target) } == .noSuchChannel)
            #expect(
                await self.refusal { try await link.dualTransfer(nobody, caller: target, other: target) }
                    == .noSuchChannel)
            #expect(await self.refusal { try await link.bridge(nobody, with: nobody) } == .noSuchChannel)
            #expect(await self.refusal { try await link.hold(nobody, true) } == .noSuchChannel)
            #expect(
                await self.refusal { try await link.broadcast("silence_stream://100", to: nobody) } == .noSuchChannel)
            #expect(await self.refusal { try await link.breakPlayback(of: nobody) } == .noSuchChannel)
            #expect(await self.refusal { try await link.startRecording(nobody, into: "/tmp/a.wav") } == .noSuchChannel)
            #expect(await self.refusal { try await link.sendDigits(Redacted("1"), to: nobody) } == .noSuchChannel)
            #expect(await self.refusal { _ = try await link.perform(.answer(nobody)) } == .operationFailed)
            #expect(
                await self.refusal { _ = try await link.perform(ApiCommand.typed("nosuchcommand")) } == .commandNotFound
            )
            let busy = OriginatedCall(to: .loopback(extension: "2002", context: "default"))
            #expect(await self.refusal { _ = try await link.originate(busy) } == .hangupCause)
            let late = OriginatedCall(to: .loopback(extension: "2001", context: "default"), timeout: .seconds(1))
            #expect(await self.refusal { _ = try await link.originate(late) } == .hangupCause)
            // What could be a second command is never sent at all.
            await #expect(throws: EventSocketCommandError.unsafe(argument: .variableValue)) {
                try await link.setVariable("a", to: "b\n\napi hupall", of: nobody)
            }
        }
    }

    @Test(
        "A wait hears the event that its own command causes, in both forms, and ends in time without it",
        .timeLimit(.minutes(2)),
        arguments: SwitchUnderTest.available.flatMap { kind in
            EventSocketCommand.EventFormat.allCases.map { (kind, $0) }
        })
    func waiting(kind: SwitchUnderTest, format: EventSocketCommand.EventFormat) async throws {
        try await kind.withSwitch { running in
            let link = try await running.link { $0.format = format }
            let channel = try await link.originate(Self.park)
            let heard = Observed<[String]>([])
            let listener = link.onEvent([.channelHangup, .channelHangupComplete], of: channel) { event in
                heard.change { $0.append(event.name.wire) }
            }
            let unpark = try await link.wait(
                for: [.channelUnpark, .channelPark], of: channel, timeout: .seconds(5),
                after: .transfer(channel, to: DialplanTarget(extension: "5900", context: "default")))
            #expect(unpark.channel == channel)
            await #expect(throws: ControlLink.WaitFailure.timedOut) {
                _ = try await link.wait(for: [.channelAnswer], of: channel, timeout: .milliseconds(50))
            }
            let refusal = try #require(SwitchRefusal("-ERR No such channel!"))
            await #expect(throws: ControlLink.WaitFailure.command(.refused(refusal))) {
                _ = try await link.wait(
                    for: [.channelHangup], of: Self.nobody, timeout: .seconds(5), after: .kill(Self.nobody))
            }
            let waiting = Task { try await link.wait(for: [.channelAnswer], of: channel, timeout: .seconds(60)) }
            waiting.cancel()
            await #expect(throws: ControlLink.WaitFailure.cancelled) { try await waiting.value }
            let end = try await link.wait(
                for: [.channelHangupComplete], of: channel, timeout: .seconds(5),
                after: .kill(channel, cause: .userBusy))
            #expect(end.hangupCause == .userBusy)
            try await eventually("the handler has heard both") {
                heard.value == ["CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"]
            }
            listener.cancel()
        }
    }

    @Test(
        "Events of other channels do not come to a link that watches its own", .timeLimit(.minutes(2)),
        arguments: SwitchUnderTest.available)
    func filtered(kind: SwitchUnderTest) async throws {
        try await kind.withSwitch { running in
            let link = try await running.link()
            let one = try await link.originate(Self.park)
            let other = try await link.originate(Self.park)
            let heard = Observed<[CallID]>([])
            link.watch(one) { _ in heard.change { $0.append(one) } }
            link.watch(other) { _ in heard.change { $0.append(other) } }
            link.unwatch(other)
            try await link.kill(other)
            try await link.kill(one)
            try await eventually("the hang-up of the watched one") { heard.value.contains(one) }
            #expect(!heard.value.contains(other))
        }
    }

    @Test(
        "The switch dies in the middle of calls: the calls hear it after the reconnection, and the link works again",
        .timeLimit(.minutes(2)), arguments: SwitchUnderTest.available)
    func restart(kind: SwitchUnderTest) async throws {
        try await kind.withSwitch { running in
            let link = try await running.link()
            let channel = try await link.originate(Self.park)
            let heard = Observed<[String]>([])
            link.watch(channel) { event in
                if case .phone(.hungUp(let cause)) = event { heard.change { $0.append(cause.name) } }
            }
            // A call id that is no channel of this switch: its call is none of the switch's business.
            link.watch(Self.nobody) { _ in heard.change { $0.append("somebody else's call") } }
            #expect(try await link.variable("domain_uuid", of: channel)?.value == "abc-1")
            // An event tells which start of the switch this was.
            _ = try await link.wait(
                for: [.channelPark, .channelUnpark], of: channel, timeout: .seconds(5),
                after: .transfer(channel, to: DialplanTarget(extension: "5900", context: "default")))
            let waiting = Task { try await link.wait(for: [.channelAnswer], of: channel, timeout: .seconds(60)) }
            let gone = Observed(0)
            let listener = link.onEvent([.channelHangup], of: channel, gone: { gone.change { $0 += 1 } }) { _ in }
            try await running.restart()
            try await eventually(within: .seconds(40), "the call hears that its channel is gone") {
                heard.value == ["CRASH"]
            }
            await #expect(throws: ControlLink.WaitFailure.channelGone) { try await waiting.value }
            #expect(link.isAvailable)
            let next = try await link.originate(Self.park)
            #expect(try await link.exists(next))
            #expect(heard.value == ["CRASH"])
            #expect(gone.value == 1, "a listener of the channel is told too")
            listener.cancel()
        }
    }
}
