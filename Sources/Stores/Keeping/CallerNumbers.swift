import Telephony

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

    /// One text for all spellings of a tenant's caller, from which the number is not read back by looking at it: what
    /// stays of an erased caller while other nodes have still to look at their disks. (A number can be guessed and hashed;
    /// the rows go after a month, see `RecordKeeper`.)
    package static func hash(_ number: String, of tenant: TenantID) -> String {
        TextDigest.hex("\(tenant.text) \(Self.spellings(of: number)[0])")
    }
}
