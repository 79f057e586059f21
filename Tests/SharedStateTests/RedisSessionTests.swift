import SharedState
import Telephony
import Testing

/// The connection as a value: events in, effects out, the time given.
@Suite("A session with Redis")
struct RedisSessionTests {
    /// Runs a session and keeps what it asked for.
    private struct Driver {
        var session: RedisSession
        var now: Duration = .zero
        var effects: [RedisSession.Effect] = []

        init(_ configuration: RedisSession.Configuration = .init()) {
            self.session = RedisSession(configuration, seed: 7)
        }

        /// What the event caused.
        mutating func on(
            _ event: (inout RedisSession, Duration, inout [RedisSession.Effect]) -> Void
        ) -> [RedisSession.Effect] {
            var effects: [RedisSession.Effect] = []
            event(&self.session, self.now, &effects)
            return effects
        }

        mutating func reply(_ value: RedisValue) -> [RedisSession.Effect] {
            self.on { $0.received(value, at: $1, &$2) }
        }
        mutating func due() -> [RedisSession.Effect] { self.on { $0.due(at: $1, &$2) } }
        mutating func ask(_ word: String, within: Duration = .milliseconds(50)) -> (
            tag: RedisSession.Tag, effects: [RedisSession.Effect]
        ) {
            var tag: RedisSession.Tag = 0
            let effects = self.on { tag = $0.ask(RedisCommand(word), within: within, at: $1, &$2) }
            return (tag, effects)
        }

        mutating func becomeReady() {
            #expect(self.on { $0.start(at: $1, &$2) } == [.connect])
            #expect(self.on { $0.connected(at: $1, &$2) } == [.send(RedisCommand("PING").bytes)])
            #expect(self.reply(.text("PONG")) == [.ready])
        }
    }

    @Test("A command is an array of bulk strings, by bytes and not by characters")
    func encoding() {
        #expect(
            String(decoding: RedisCommand("SET", "ké", "").bytes, as: UTF8.self)
                == "*3\r\n$3\r\nSET\r\n$3\r\nké\r\n$0\r\n\r\n")
    }

    @Test("The greeting authenticates, selects and probes, and is ready when all is accepted")
    func greeting() {
        var configuration = RedisSession.Configuration(
            user: "pronto", password: Redacted("secret"), database: 3, probe: RedisCommand("SET", "a", "b"))
        var driver = Driver(configuration)
        #expect(driver.on { $0.start(at: $1, &$2) } == [.connect])
        let greeting =
            RedisCommand("AUTH", "pronto", "secret").bytes + RedisCommand("SELECT", "3").bytes
            + RedisCommand("SET", "a", "b").bytes
        #expect(driver.on { $0.connected(at: $1, &$2) } == [.send(greeting)])
        #expect(driver.reply(.text("OK")).isEmpty)
        #expect(driver.reply(.text("OK")).isEmpty)
        #expect(!driver.session.isReady)
        #expect(driver.reply(.text("OK")) == [.ready])

        configuration.user = nil
        driver = Driver(configuration)
        _ = driver.on { $0.start(at: $1, &$2) }
        let effects = driver.on { $0.connected(at: $1, &$2) }
        guard case .send(let bytes)? = effects.first else {
            Issue.record("no greeting")
            return
        }
        #expect(bytes.starts(with: RedisCommand("AUTH", "secret").bytes), "without a user AUTH has one argument")
    }

    @Test(
        "Each refusal of the greeting has its reason",
        arguments: [
            (0, "WRONGPASS", RedisAbsence.authentication), (0, "ERR", .authentication), (1, "ERR", .database),
            (1, "NOAUTH", .authentication), (2, "READONLY", .readOnly), (2, "MISCONF", .readOnly),
            (2, "LOADING", .loading), (2, "NOPERM", .permission), (2, "ERR", .permission),
        ])
    func refusals(step: Int, code: String, absence: RedisAbsence) {
        var driver = Driver(.init(password: Redacted("x"), database: 1))
        _ = driver.on { $0.start(at: $1, &$2) }
        _ = driver.on { $0.connected(at: $1, &$2) }
        for _ in 0..<step { #expect(driver.reply(.text("OK")).isEmpty) }
        #expect(driver.reply(.error(code)) == [.disconnect, .away(absence)])
        #expect(!absence.repair.isEmpty)
    }

    @Test("Replies belong to the commands in their order, also when an asker has stopped waiting")
    func order() {
        var driver = Driver()
        driver.becomeReady()
        let first = driver.ask("ONE")
        let second = driver.ask("TWO", within: .milliseconds(500))
        #expect(first.effects == [.send(RedisCommand("ONE").bytes)])
        driver.now = .milliseconds(49)
        #expect(driver.due().isEmpty)
        driver.now = .milliseconds(50)
        #expect(driver.due() == [.answer(first.tag, .late)])
        #expect(driver.reply(.integer(1)).isEmpty, "the first's reply came too late for anybody")
        #expect(driver.reply(.integer(2)) == [.answer(second.tag, .value(.integer(2)))])
        let third = driver.ask("THREE")
        #expect(driver.reply(.error("WRONGTYPE")) == [.answer(third.tag, .refused("WRONGTYPE"))])
        #expect(driver.session.isReady, "a refusal of one command is its asker's")
    }

    @Test("A Redis that answers nothing for a second is away: said once, and everybody is told")
    func stall() {
        var driver = Driver()
        driver.becomeReady()
        let first = driver.ask("ONE")
        driver.now = .milliseconds(900)
        #expect(driver.due() == [.answer(first.tag, .late)])
        let second = driver.ask("TWO", within: .seconds(1))
        driver.now = .milliseconds(1000)
        #expect(driver.session.nextWake == .milliseconds(1000))
        #expect(driver.due() == [.disconnect, .answer(second.tag, .away), .away(.stalled)])
        let third = driver.ask("THREE")
        #expect(third.effects == [.answer(third.tag, .away)], "asked while away: answered at once")

        // It accepts connections and says nothing: still away, and not said again.
        for _ in 0..<5 {
            driver.now = driver.session.nextWake ?? .zero
            #expect(driver.due() == [.connect])
            _ = driver.on { $0.connected(at: $1, &$2) }
            driver.now += .seconds(2)
            #expect(driver.due() == [.disconnect])
        }
        driver.now = driver.session.nextWake ?? .zero
        _ = driver.due()
        _ = driver.on { $0.connected(at: $1, &$2) }
        #expect(driver.reply(.text("PONG")) == [.ready], "and back is said once")
        #expect(driver.on { $0.lost(.closed, at: $1, &$2) } == [.away(.closed)])
    }

    @Test("The pauses between attempts grow, with a spread, up to the longest")
    func pauses() {
        var driver = Driver()
        _ = driver.on { $0.start(at: $1, &$2) }
        var pauses: [Duration] = []
        for _ in 0..<12 {
            _ = driver.on { $0.lost(.unreachable, at: $1, &$2) }
            let wake = driver.session.nextWake ?? .zero
            pauses.append(wake - driver.now)
            driver.now = wake
            #expect(driver.due() == [.connect])
        }
        #expect(pauses[0] >= .milliseconds(187) && pauses[0] <= .milliseconds(313))
        #expect(pauses[3] > .milliseconds(1400))
        #expect(pauses.allSatisfy { $0 <= .milliseconds(6250) })
        #expect(Set(pauses.suffix(6)).count > 1, "spread")
    }

    @Test("What the next command would meet as well ends the connection; a missing right does not")
    func lastingRefusals() {
        var driver = Driver()
        driver.becomeReady()
        var asked = driver.ask("ONE")
        #expect(driver.reply(.error("NOPERM")) == [.answer(asked.tag, .refused("NOPERM"))])
        asked = driver.ask("TWO")
        #expect(
            driver.reply(.error("READONLY")) == [
                .answer(asked.tag, .refused("READONLY")), .disconnect, .away(.readOnly),
            ])
    }

    @Test("A quiet connection is asked whether it lives")
    func keepAlive() {
        var driver = Driver()
        driver.becomeReady()
        driver.now = .seconds(2)
        #expect(driver.due() == [.send(RedisCommand("PING").bytes)])
        #expect(driver.reply(.text("PONG")).isEmpty)
        driver.now = .seconds(4)
        #expect(driver.due() == [.send(RedisCommand("PING").bytes)])
        driver.now = .seconds(5)
        #expect(driver.due() == [.disconnect, .away(.stalled)])
    }

    @Test("A listener hears messages and nothing else, and takes no commands")
    func listening() {
        var driver = Driver(.init(channels: ["news"]))
        _ = driver.on { $0.start(at: $1, &$2) }
        #expect(driver.on { $0.connected(at: $1, &$2) } == [.send(RedisCommand("SUBSCRIBE", "news").bytes)])
        #expect(driver.reply(.array([.text("subscribe"), .text("news"), .integer(1)])) == [.ready])
        #expect(
            driver.reply(.array([.text("message"), .text("news"), .text("hello")])) == [
                .message(channel: "news", text: "hello")
            ])
        let asked = driver.ask("GET")
        #expect(asked.effects == [.answer(asked.tag, .away)])
        driver.now = .seconds(2)
        #expect(driver.due() == [.send(RedisCommand("PING").bytes)])
        #expect(driver.reply(.array([.text("pong"), .text("")])).isEmpty)
        driver.now = .seconds(3)
        #expect(driver.due().isEmpty, "it has answered")
        #expect(driver.reply(.text("what?")) == [.disconnect, .away(.garbled)])
    }

    @Test("Commands without a reply are bounded, and an answer to nothing ends the connection")
    func bounds() {
        var configuration = RedisSession.Configuration()
        configuration.capacity = 2
        var driver = Driver(configuration)
        driver.becomeReady()
        _ = driver.ask("ONE")
        _ = driver.ask("TWO")
        let third = driver.ask("THREE")
        #expect(third.effects == [.answer(third.tag, .away)])
        #expect(driver.session.pendingCount == 2)
        _ = driver.reply(.null)
        _ = driver.reply(.null)
        #expect(driver.reply(.null) == [.disconnect, .away(.garbled)])
    }

    @Test("A stop answers everybody and asks for nothing more")
    func stop() {
        var driver = Driver()
        driver.becomeReady()
        let asked = driver.ask("ONE")
        #expect(driver.on { $0.stop(at: $1, &$2) } == [.answer(asked.tag, .away), .disconnect])
        #expect(driver.session.nextWake == nil)
        #expect(driver.on { $0.lost(.closed, at: $1, &$2) }.isEmpty)
        #expect(driver.on { $0.start(at: $1, &$2) }.isEmpty)
    }
}
