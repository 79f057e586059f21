import Foundation

/// A recording of an Event Socket: what either side sent, piece by piece.
struct Transcript {
    enum Side { case controller, freeSwitch }

    var pieces: [(side: Side, bytes: [UInt8])] = []

    init(named name: String) throws {
        let text = try fixture(name)
        var rest = text[...]
        while let line = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let mark = String(decoding: rest[..<line], as: UTF8.self)
            rest = rest[(line + 1)...]
            let end = Self.nextMark(in: rest) ?? rest.endIndex
            let bytes = Array(rest[..<max(rest.startIndex, end - 1)])
            rest = rest[end...]
            if mark.hasSuffix("<<") { self.pieces.append((.freeSwitch, bytes)) }
            if mark.hasSuffix(">>") { self.pieces.append((.controller, bytes)) }
        }
    }

    func bytes(from side: Side) -> [UInt8] { self.pieces.filter { $0.side == side }.flatMap(\.bytes) }

    private static func nextMark(in bytes: ArraySlice<UInt8>) -> Int? {
        let mark = Array("\n---  ".utf8)
        var index = bytes.startIndex
        while index + mark.count <= bytes.endIndex {
            if bytes[index] == mark[0], bytes[index..<index + mark.count].elementsEqual(mark) { return index + 1 }
            index += 1
        }
        return nil
    }
}

/// The bytes of a file in `Fixtures/`.
func fixture(_ name: String) throws -> [UInt8] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")
    return [UInt8](try Data(contentsOf: folder.appendingPathComponent(name + ".txt")))
}

/// SplitMix64: the same numbers in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
