import Foundation
import Telephony

/// Moments as UTC texts with milliseconds, `2026-11-20T09:41:00.123Z`: readable in the database's own shell, and in the
/// order of time when sorted as text. Years 0000 to 9999 (RFC 3339 §1); what lies outside is clamped.
enum Timestamp {
    private static let earliest: Int64 = -62_167_219_200_000
    private static let latest: Int64 = 253_402_300_799_999

    static func text(_ date: Date) -> String {
        let value = date.timeIntervalSince1970 * 1000
        let milliseconds: Int64 =
            value.isNaN || value <= Double(Self.earliest)
            ? Self.earliest : value >= Double(Self.latest) ? Self.latest : Int64(value.rounded())
        let day = Self.floorDivide(milliseconds, 86_400_000)
        let rest = Int(milliseconds - day * 86_400_000)
        return CivilDay(number: Int(day)).text + "T"
            + zeroPadded(rest / 3_600_000, 2) + ":" + zeroPadded(rest / 60000 % 60, 2) + ":"
            + zeroPadded(rest / 1000 % 60, 2) + "." + zeroPadded(rest % 1000, 3) + "Z"
    }

    /// Nil unless `text` has exactly that shape and its fields are in range.
    static func date(_ text: String) -> Date? {
        let bytes = Array(text.utf8)
        guard bytes.count == 24 else { return nil }
        let shape = Array("dddd-dd-ddTdd:dd:dd.dddZ".utf8)
        for (byte, wanted) in zip(bytes, shape) {
            let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            guard wanted == UInt8(ascii: "d") ? isDigit : byte == wanted else { return nil }
        }
        func number(_ range: Range<Int>) -> Int {
            bytes[range].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        }
        let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
        let (hour, minute, second) = (number(11..<13), number(14..<16), number(17..<19))
        guard let date = CivilDay(year: year, month: month, day: day), hour < 24, minute < 60, second < 60 else {
            return nil
        }
        let seconds = date.number * 86400 + hour * 3600 + minute * 60 + second
        return Date(timeIntervalSince1970: Double(seconds * 1000 + number(20..<23)) / 1000)
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        value / divisor - (value % divisor < 0 ? 1 : 0)
    }
}
