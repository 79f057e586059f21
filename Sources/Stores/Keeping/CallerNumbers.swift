/// The ways in which one number is written in records: carriers and switches disagree about `+` and `00`.
package enum CallerNumbers {
    /// `+39061234`, `0039061234` and `39061234` are one number; a national one (`061234`) is another, since whose nation it
    /// is, is not known here. What is no number (`alice`) is itself only.
    package static func spellings(of number: String) -> [String] {
        let digits =
            number.hasPrefix("+") ? number.dropFirst() : number.hasPrefix("00") ? number.dropFirst(2) : number[...]
        guard digits.utf8.count >= 6, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), digits.first != "0" else {
            return [number]
        }
        return ["+\(digits)", "00\(digits)", String(digits)]
    }
}
