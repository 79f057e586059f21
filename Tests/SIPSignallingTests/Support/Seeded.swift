/// Random numbers that are the same in every run (SplitMix64), and damage done by them.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var value = self.state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// One to four damages: a byte changed, a stretch dropped, doubled or moved, a cut, or a nasty text put in.
    mutating func mutation(of base: [UInt8]) -> [UInt8] {
        var bytes = base
        for _ in 0..<Int.random(in: 1...4, using: &self) where !bytes.isEmpty {
            let from = Int.random(in: 0..<bytes.count, using: &self)
            let to = min(bytes.count, from + Int.random(in: 1...40, using: &self))
            switch Int.random(in: 0..<7, using: &self) {
            case 0: bytes[from] = UInt8.random(in: 0...255, using: &self)
            case 1: bytes.removeSubrange(from..<to)
            case 2: bytes.insert(contentsOf: bytes[from..<to], at: from)
            case 3: bytes.removeSubrange(from...)
            case 4: bytes.insert(contentsOf: Self.nasty.randomElement(using: &self)!.utf8, at: from)
            case 5: for index in from..<to { bytes[index] ^= 0x20 }
            default:
                let piece = Array(bytes[from..<to])
                bytes.removeSubrange(from..<to)
                bytes.insert(contentsOf: piece, at: Int.random(in: 0...bytes.count, using: &self))
            }
        }
        return bytes
    }

    private static let nasty = [
        "\r\n", "\r\n\r\n", "%s%n%H", "\u{0}", ";", "\"", "<", ">", ":", ",", "@", " ", "4294967296", "-1",
        "99999999999999999999", "Content-Length: 100000\r\n", "SIP/2.0", "sip:", "tag=", "branch=", "[::1]", "0.0.0.0",
        "INVITE", "\u{FEFF}", String(repeating: "A", count: 300), "a=rtpmap:0 /", "m=audio 1 RTP/AVP ", "\t", "\\",
    ]
}
