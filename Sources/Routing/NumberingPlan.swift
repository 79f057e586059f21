/// How the numbers of one tenant are written out in full (ITU-T E.164): `06 1234567` in Italy is `+39061234567`.
///
/// Carriers deliver the same DID as `+39061234567`, `0039061234567`, `39061234567` or `061234567`, so that a text may
/// stand for more than one number. `forms` gives every one that it can stand for, the likeliest first; a list names
/// numbers by the likeliest form alone.
package struct NumberingPlan: Sendable, Equatable {
    /// 1 to 3 digits; nil: numbers without `+` or an international prefix are taken as whole ones.
    package let country: String?

    /// What stands before a national number and is not part of it. ITU-T Operational Bulletin, "Dialling procedures";
    /// where the zero belongs to the number (Italy) or nothing is dialed before it, none. Everybody else: 0.
    private static let nationalPrefixes: [String: String] = [
        "39": "", "378": "", "379": "", "34": "", "351": "", "30": "", "45": "", "47": "", "48": "", "352": "",
        "354": "", "356": "", "357": "", "371": "", "372": "", "420": "", "65": "", "852": "", "853": "", "506": "",
        "1": "1", "7": "8", "36": "06", "370": "0",
    ]
    /// What is dialed to leave the country, where it is not 00.
    private static let internationalPrefixes: [String: String] = [
        "1": "011", "61": "0011", "81": "010", "7": "810", "65": "001",
    ]

    package init() { self.country = nil }

    /// Nil unless `country` is a country code: 1 to 3 digits, the first not 0 (ITU-T E.164 §6.2.1).
    package init?(country: String) {
        let digits = country.hasPrefix("+") ? country.dropFirst() : country[...]
        guard (1...3).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            digits.utf8.first != 0x30
        else { return nil }
        self.country = String(digits)
    }

    /// Digits after `+` (ITU-T E.164 §6.1); three at least, so that short codes of a switch can be listed too.
    package static let digits = 3...15

    /// The numbers that `text` can stand for, each as `+` and digits, the likeliest first. Empty: it is no number.
    package func forms(of text: some StringProtocol) -> [String] {
        guard let (digits, isWhole) = Self.digits(of: text) else { return [] }
        if isWhole { return Self.checked(digits).map { [$0] } ?? [] }
        var forms: [String] = []
        func add(_ digits: some StringProtocol) {
            if let form = Self.checked(digits), !forms.contains(form) { forms.append(form) }
        }
        guard let country = self.country else {
            add(digits.hasPrefix("00") ? digits.dropFirst(2) : digits[...])
            return forms
        }
        let out = Self.internationalPrefixes[country] ?? "00"
        if digits.hasPrefix(out), digits.utf8.count > out.utf8.count + 3 {
            add(digits.dropFirst(out.utf8.count))
            // A national number may begin so too where no prefix is dialed before it; the list decides.
            if Self.nationalPrefixes[country] == "" { add(country + digits) }
            return forms
        }
        // Twelve digits and more that begin with the country's code carry it: national numbers are shorter.
        let carriesCountry = digits.hasPrefix(country)
        if carriesCountry, digits.utf8.count > 11 { add(digits) }
        let prefix = Self.nationalPrefixes[country] ?? "0"
        if !prefix.isEmpty, digits.hasPrefix(prefix) {
            add(country + digits.dropFirst(prefix.utf8.count))
        } else {
            add(country + digits)
        }
        if carriesCountry { add(digits) }
        return forms
    }

    /// The likeliest number; nil: it is none.
    package func number(_ text: some StringProtocol) -> String? { self.forms(of: text).first }

    /// The digits without what people write between them (RFC 3966 §5.1.1), and whether a `+` stood before them.
    private static func digits(of text: some StringProtocol) -> (digits: String, isWhole: Bool)? {
        guard (1...32).contains(text.utf8.count) else { return nil }
        var digits = ""
        var isWhole = false
        for (index, byte) in text.utf8.enumerated() {
            switch byte {
            case 0x30...0x39: digits.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: "+") where index == 0: isWhole = true
            case UInt8(ascii: " "), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "("),
                UInt8(ascii: ")"):
                continue
            default: return nil
            }
        }
        return digits.isEmpty ? nil : (digits, isWhole)
    }

    private static func checked(_ digits: some StringProtocol) -> String? {
        guard Self.digits.contains(digits.utf8.count), digits.utf8.first != 0x30 else { return nil }
        return "+" + digits
    }
}
