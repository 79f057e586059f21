import Networking

/// A network whose hosts may speak SIP to us: an address with a prefix length, `10.1.0.0/16` or `::1`.
package struct PeerNetwork: Sendable, Hashable, CustomStringConvertible {
    package let description: String
    let bytes: [UInt8]
    let prefix: Int

    package static let loopback = ["127.0.0.0/8", "::1"].compactMap { PeerNetwork($0) }

    /// Nil unless `text` is a numeric address with an optional prefix length, and no bit beyond the prefix is set.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = SocketAddress(String(parts[0]), port: 0), !parts[0].contains("%") else { return nil }
        let bytes = address.bytes
        var prefix = bytes.count * 8
        if parts.count == 2 {
            guard let given = Int(parts[1]), (0...prefix).contains(given), String(given) == parts[1] else { return nil }
            prefix = given
        }
        self.description = text
        self.bytes = bytes
        self.prefix = prefix
        guard bytes == Self.masked(bytes, prefix) else { return nil }
    }

    package func contains(_ address: SocketAddress) -> Bool {
        let other = address.bytes
        return other.count == self.bytes.count && Self.masked(other, self.prefix) == self.bytes
    }

    private static func masked(_ bytes: [UInt8], _ prefix: Int) -> [UInt8] {
        bytes.enumerated().map { index, byte in
            let bits = min(max(prefix - index * 8, 0), 8)
            return bits == 0 ? 0 : byte & (0xFF << UInt8(8 - bits))
        }
    }
}

/// The allow-list as a program of the kernel's packet filter (classic BPF), for sockets whose library cannot be asked to
/// look at the sender first: a SYN from elsewhere is dropped before there is a connection, let alone a parser.
///
/// The kernel runs it on each packet to a socket that it is attached to, and connections inherit it from their listener.
package struct PeerFilter: Sendable, Equatable {
    /// `struct sock_filter` of <linux/filter.h>.
    package struct Instruction: Sendable, Equatable {
        var code: UInt16
        var whenTrue: UInt8 = 0
        var whenFalse: UInt8 = 0
        var value: UInt32

        package var fields: (code: UInt16, whenTrue: UInt8, whenFalse: UInt8, value: UInt32) {
            (self.code, self.whenTrue, self.whenFalse, self.value)
        }
    }

    package let instructions: [Instruction]

    // <linux/bpf_common.h> and <linux/filter.h>: load a word at an offset, and, compare, return; the network header
    // is at SKF_NET_OFF, what the kernel knows of the packet at SKF_AD_OFF.
    private static let loadWord: UInt16 = 0x20
    private static let loadHalf: UInt16 = 0x28
    private static let and: UInt16 = 0x54
    private static let jumpIfEqual: UInt16 = 0x15
    private static let answer: UInt16 = 0x06
    private static let networkHeader = UInt32(bitPattern: -0x100000)
    private static let packetProtocol = UInt32(bitPattern: -0x1000)
    private static let ipv4: UInt32 = 0x0800
    private static let sourceIPv4: UInt32 = 12
    private static let sourceIPv6: UInt32 = 8

    package init(allowing networks: [PeerNetwork]) {
        var four: [Instruction] = []
        var six: [Instruction] = []
        for network in networks {
            let source = network.bytes.count == 4 ? Self.sourceIPv4 : Self.sourceIPv6
            var test: [Instruction] = []
            let words = (network.prefix + 31) / 32
            for word in 0..<words {
                let bits = min(32, network.prefix - word * 32)
                let mask = UInt32.max << UInt32(32 - bits)
                let value = network.bytes[word * 4..<word * 4 + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                // Past the rest of the words and the "accept" when it differs; three instructions a word.
                let rest = UInt8((words - word - 1) * 3 + 1)
                test += [
                    Instruction(code: Self.loadWord, value: Self.networkHeader &+ source + UInt32(word) * 4),
                    Instruction(code: Self.and, value: mask),
                    Instruction(code: Self.jumpIfEqual, whenTrue: 0, whenFalse: rest, value: value),
                ]
            }
            test.append(Instruction(code: Self.answer, value: .max))
            if network.bytes.count == 4 { four += test } else { six += test }
        }
        four.append(Instruction(code: Self.answer, value: 0))
        six.append(Instruction(code: Self.answer, value: 0))
        // A jump's distance has eight bits, so the way to the IPv6 half is an unconditional jump with 32.
        let jump: UInt16 = 0x05
        self.instructions =
            [
                Instruction(code: Self.loadHalf, value: Self.packetProtocol),
                Instruction(code: Self.jumpIfEqual, whenTrue: 1, whenFalse: 0, value: Self.ipv4),
                Instruction(code: jump, value: UInt32(four.count)),
            ] + four + six
    }
}
