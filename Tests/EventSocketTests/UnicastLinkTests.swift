import EventSocket
import Telephony
import Testing

/// Drives a link as its owner does; each step answers with its effects, one word or two each.
private struct Owner {
    var link = UnicastLink(patience: .milliseconds(400), silence: .seconds(2), attempts: 3)
    var now: Duration = .zero
    var port: UInt16 = 40_000

    mutating func step(_ body: (inout UnicastLink, Duration, inout [UnicastLink.Effect]) -> Void) -> [String] {
        var effects: [UnicastLink.Effect] = []
        body(&self.link, self.now, &effects)
        return effects.map { effect in
            switch effect {
            case .ask(let ports): "ask \(ports.switchPort)"
            case .needsPorts: "ports?"
            case .flowing: "flowing"
            case .reenter(let loss): "reenter \(loss.rawValue)"
            case .left(let loss): "left \(loss.rawValue)"
            case .failed(let loss): "failed \(loss.rawValue)"
            }
        }
    }

    mutating func parked() -> [String] { self.step { link, _, effects in link.parked(into: &effects) } }
    mutating func offer() -> [String] {
        self.port += 1
        let ports = UnicastPorts(
            switchAddress: "127.0.0.1", switchPort: self.port, ourAddress: "127.0.0.1", ourPort: 16_384)
        return self.step { $0.offer(ports, at: $1, into: &$2) }
    }
    mutating func datagram() -> [String] { self.step { $0.datagram(at: $1, into: &$2) } }
    mutating func timer(after time: Duration) -> [String] {
        self.now += time
        return self.step { $0.timerFired(at: $1, into: &$2) }
    }
    mutating func playback() -> [String] { self.step { link, _, effects in link.playbackStarted(into: &effects) } }
    mutating func bridged() -> [String] { self.step { link, _, effects in link.bridged(into: &effects) } }
    mutating func unparked() -> [String] { self.step { link, _, effects in link.unparked(into: &effects) } }

    /// Parked, asked, and the first datagram came.
    mutating func flow() {
        _ = self.parked()
        _ = self.offer()
        _ = self.datagram()
    }
}

/// The rules of `protocols/freeswitch-legs.md` §1.
@Suite struct UnicastLinkTests {
    @Test("Parked: ports, the command, and only the first datagram is success")
    func begins() {
        var owner = Owner()
        #expect(owner.link.nextWake == nil)
        #expect(owner.parked() == ["ports?"])
        #expect(owner.offer() == ["ask 40001"])
        #expect(!owner.link.isFlowing)
        #expect(owner.link.nextWake == .milliseconds(400))
        #expect(owner.datagram() == ["flowing"])
        #expect(owner.link.isFlowing)
        #expect(owner.datagram() == [])
    }

    @Test("No datagram in time: the port was taken; another is tried, three times in all")
    func portInUse() {
        var owner = Owner()
        _ = owner.parked()
        #expect(owner.offer() == ["ask 40001"])
        #expect(owner.timer(after: .milliseconds(399)) == [])
        #expect(owner.timer(after: .milliseconds(1)) == ["ports?"])
        #expect(owner.offer() == ["ask 40002"])
        #expect(owner.timer(after: .milliseconds(400)) == ["ports?"])
        #expect(owner.offer() == ["ask 40003"])
        #expect(owner.timer(after: .milliseconds(400)) == ["failed unicast-no-datagrams"])
        #expect(owner.link.nextWake == nil)
        #expect(owner.offer() == [])
        #expect(owner.datagram() == [])
    }

    @Test("Without a free port it fails, and a fresh park begins anew")
    func noPorts() {
        var owner = Owner()
        _ = owner.parked()
        #expect(owner.step { $0.offer(nil, at: $1, into: &$2) } == ["failed unicast-no-ports"])
        #expect(owner.parked() == ["ports?"])
        #expect(owner.offer() == ["ask 40001"])
    }

    @Test("A playback ends it for good: the way on is a fresh park")
    func playback() {
        var owner = Owner()
        owner.flow()
        #expect(owner.playback() == ["reenter unicast-playback"])
        #expect(!owner.link.isFlowing)
        #expect(owner.offer() == [])
        #expect(owner.datagram() == [])
        #expect(owner.timer(after: .seconds(10)) == [])
        #expect(owner.playback() == [])
        #expect(owner.parked() == ["ports?"])
        #expect(owner.offer() == ["ask 40003"])
        #expect(owner.datagram() == ["flowing"])
    }

    @Test("A playback before anything was asked spoils the park all the same: the channel keeps the flag")
    func playbackFirst() {
        var owner = Owner()
        #expect(owner.playback() == ["reenter unicast-playback"])
        #expect(owner.offer() == [])
        #expect(owner.parked() == ["ports?"])
    }

    @Test("Asked, no datagram yet, and a playback: no second question in this park")
    func playbackWhileAsked() {
        var owner = Owner()
        _ = owner.parked()
        _ = owner.offer()
        #expect(owner.playback() == ["reenter unicast-playback"])
        #expect(owner.timer(after: .seconds(1)) == [])
        #expect(owner.link.nextWake == nil)
    }

    @Test("Somebody else bridges or transfers the channel: nobody fetches it back", arguments: [true, false])
    func taken(isBridge: Bool) {
        var owner = Owner()
        owner.flow()
        #expect(
            isBridge ? owner.bridged() == ["left unicast-bridged"] : owner.unparked() == ["left unicast-unparked"])
        #expect(owner.timer(after: .seconds(5)) == [])
        #expect(owner.offer() == [])
        #expect(owner.parked() == ["ports?"])
    }

    @Test("Datagrams flow all the time: two seconds without one are the end of this park")
    func silence() {
        var owner = Owner()
        owner.flow()
        owner.now = .milliseconds(1500)
        #expect(owner.step { link, now, _ in link.heard(at: now) } == [])
        #expect(owner.timer(after: .milliseconds(1999)) == [])
        #expect(owner.link.nextWake == .milliseconds(3500))
        #expect(owner.timer(after: .milliseconds(1)) == ["reenter unicast-silent"])
        #expect(owner.offer() == [])
    }

    /// The crash of FreeSWITCH (a use after free): `sendmsg unicast` again in a park whose unicast had worked and ended.
    @Test("However events fall: no question after a datagram, a playback or a bridge in the same park")
    func randomWalk() {
        var generator = SeededGenerator(seed: 20_261_121)
        var asks = 0
        var repeatedAsks = 0
        for sequence in 0..<10_000 {
            var owner = Owner()
            /// Of the present park.
            var isSpoilt = false
            var asksHere = 0
            var wantsPorts = false
            for _ in 0..<Int.random(in: 1...40, using: &generator) {
                let effects: [String]
                switch Int.random(in: 0...8, using: &generator) {
                case 0:
                    effects = owner.parked()
                    isSpoilt = false
                    asksHere = 0
                    #expect(effects == ["ports?"], "sequence \(sequence): a fresh park may always be asked")
                case 1, 2: effects = wantsPorts ? owner.offer() : []
                case 3: effects = owner.offer()
                case 4:
                    effects = owner.datagram()
                    if effects.contains("flowing") { isSpoilt = true }
                case 5:
                    let step = [1, 200, 400, 2000, 5000].randomElement(using: &generator) ?? 1
                    effects = owner.timer(after: .milliseconds(step))
                case 6:
                    effects = owner.playback()
                    isSpoilt = true
                case 7:
                    effects = owner.bridged()
                    isSpoilt = true
                default:
                    effects = owner.unparked()
                    isSpoilt = true
                }
                wantsPorts = effects.contains("ports?")
                for effect in effects where effect.hasPrefix("ask") {
                    asks += 1
                    asksHere += 1
                    if asksHere > 1 { repeatedAsks += 1 }
                    #expect(!isSpoilt, "sequence \(sequence): FreeSWITCH would crash")
                    #expect(asksHere <= 3, "sequence \(sequence)")
                }
                if isSpoilt { #expect(!effects.contains("ports?"), "sequence \(sequence)") }
                if owner.link.isFlowing { #expect(owner.link.nextWake != nil) }
            }
            #expect(owner.parked() == ["ports?"])
            #expect(owner.offer().first?.hasPrefix("ask") == true, "parked → ask again works")
        }
        // The walk has been where it matters.
        #expect(asks > 5000)
        #expect(repeatedAsks > 100)
    }
}
