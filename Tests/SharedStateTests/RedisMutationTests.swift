import SharedState
import Telephony
import Testing

/// A peer that is no Redis, or a broken one: thousands of damaged streams. Nothing traps, memory stays bounded, and what
/// was asked is answered once.
@Suite("Damaged replies")
struct RedisMutationTests {
    private struct Dice {
        var state: UInt64
        mutating func roll(_ count: Int) -> Int {
            self.state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = self.state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return Int((mixed ^ (mixed >> 31)) % UInt64(count))
        }
    }

    private static let seed =
        "+PONG\r\n*2\r\n$5\r\ntaken\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$9\r\ntest:news\r\n$13\r\nconfiguration\r\n"
        + "-READONLY no\r\n$-1\r\n*1\r\n*1\r\n*2\r\n:7\r\n+x\r\n-ERR what\r\n$3\r\nabc\r\n"

    private func damaged(_ dice: inout Dice) -> [UInt8] {
        var bytes = Array(Self.seed.utf8)
        for _ in 0...dice.roll(6) {
            let place = dice.roll(bytes.count)
            switch dice.roll(4) {
            case 0: bytes[place] = UInt8(dice.roll(256))
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(UInt8(ascii: "9"), at: place)
            default: bytes[place] = Array("*$:+-\r\n0-1".utf8)[dice.roll(10)]
            }
        }
        return bytes
    }

    @Test("Twenty thousand of them, asked and listening", arguments: [[], ["test:news"]])
    func damage(channels: [String]) {
        var dice = Dice(state: 42)
        var heard = 0
        for _ in 0..<10_000 {
            let replies = RedisReplies()
            var session = RedisSession(.init(channels: channels), seed: 1)
            var effects: [RedisSession.Effect] = []
            var open: Set<RedisSession.Tag> = []
            session.start(at: .zero, &effects)
            session.connected(at: .zero, &effects)
            let bytes = self.damaged(&dice)
            var start = 0
            var isOpen = true
            while start < bytes.count, isOpen {
                let end = min(bytes.count, start + 1 + dice.roll(40))
                do {
                    try Array(bytes[start..<end]).withUnsafeBytes { try replies.feed($0) }
                    while let reply = try replies.next() {
                        heard += 1
                        session.received(reply, at: .milliseconds(start), &effects)
                        open.insert(session.ask(RedisCommand("GET"), within: .seconds(1), at: .zero, &effects))
                    }
                } catch {
                    session.lost(.garbled, at: .zero, &effects)
                    isOpen = false
                }
                start = end
            }
            session.stop(at: .seconds(1), &effects)
            for case .answer(let tag, _) in effects { #expect(open.remove(tag) != nil, "answered twice") }
            #expect(open.isEmpty, "never answered")
        }
        #expect(heard > 10_000, "the damage is not so great that nothing is understood")
    }

    @Test("News of any bytes are understood or not, and nothing else")
    func news() {
        var dice = Dice(state: 7)
        let seed = Array("open openai 00000000-0000-4000-8000-00000000000a 1500 instance".utf8)
        var understood = 0
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0..<dice.roll(4) { bytes[dice.roll(bytes.count)] = UInt8(dice.roll(256)) }
            guard let (news, from) = NodeNews.parse(String(decoding: bytes, as: UTF8.self)) else { continue }
            understood += 1
            #expect(NodeNews.parse(news.text(from: from))?.news == news)
        }
        #expect(understood > 1000 && understood < 20_000)
    }
}
