/// Maps the phonemes that espeak-ng writes (IPA) to the phones of the acoustic model (ARPAbet, CMU's 39).
///
/// Debian's only acoustic model is American English. A word of another language is spelled with the English phones
/// nearest to its own: `vendite` is V EH N D IY T EH. What has no near phone becomes two (ɲ is N Y) or the nearest
/// (a trilled r is R). Where a sound lies between two phones, both spellings are given as alternatives.
package enum PhoneMap {
    /// Every phone of the acoustic model but silence and noises.
    package static let phones: Set<String> = [
        "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH",
        "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
    ]

    /// The phones of an IPA transcription, up to two alternatives, best first; empty when nothing of it is known.
    package static func phones(ofIPA ipa: String) -> [[String]] {
        var spellings: [[String]] = []
        for alternative in 0...1 {
            let spelling: [String] = Self.spell(ipa, alternative)
            if !spelling.isEmpty, !spellings.contains(spelling) { spellings.append(spelling) }
        }
        return spellings
    }

    private static let nasal: Unicode.Scalar = "\u{0303}"

    private static func spell(_ ipa: String, _ alternative: Int) -> [String] {
        // Precomposed nasal vowels apart from their tilde, marks of stress and length away.
        var scalars: [Unicode.Scalar] = []
        for scalar in ipa.unicodeScalars {
            switch scalar {
            case "ã": scalars += ["a", Self.nasal]
            case "ẽ": scalars += ["e", Self.nasal]
            case "ĩ": scalars += ["i", Self.nasal]
            case "õ": scalars += ["o", Self.nasal]
            case "ũ": scalars += ["u", Self.nasal]
            case "ˈ", "ˌ", "ː", "\u{0361}", "ʲ", "\u{0329}", "\u{032F}", "\u{200D}": continue
            default: scalars.append(scalar)
            }
        }
        var out: [String] = []
        func append(_ phones: [String]) {
            // English has no long consonants: a doubled phone is one.
            for phone in phones where out.last != phone { out.append(phone) }
        }
        var index = 0
        var isNasal = false
        func endNasal() {
            if isNasal { append(["N"]) }
            isNasal = false
        }
        while index < scalars.count {
            let scalar: Unicode.Scalar = scalars[index]
            if scalar == Self.nasal {
                isNasal = true
                index += 1
                continue
            }
            // Two letters that are one sound, a nasal tilde between them allowed: ɐ̃ʊ̃ is AW N.
            var next: Int = index + 1
            var tilde = false
            while next < scalars.count, scalars[next] == Self.nasal {
                tilde = true
                next += 1
            }
            if next < scalars.count, let pair = Self.pairs[String(String.UnicodeScalarView([scalar, scalars[next]]))] {
                endNasal()
                append(pair)
                if tilde { isNasal = true }
                index = next + 1
                continue
            }
            if let choices = Self.single[scalar] {
                endNasal()
                append(choices[min(alternative, choices.count - 1)])
            } else {
                endNasal()
            }
            index += 1
        }
        endNasal()
        return out
    }

    private static let pairs: [String: [String]] = [
        "tʃ": ["CH"], "dʒ": ["JH"], "ts": ["T", "S"], "dz": ["D", "Z"], "aɪ": ["AY"], "eɪ": ["EY"], "ɔɪ": ["OY"],
        "oɪ": ["OY"], "aʊ": ["AW"], "ɐʊ": ["AW"], "oʊ": ["OW"], "əʊ": ["OW"], "ɜɹ": ["ER"], "əɹ": ["ER"],
    ]

    /// A sound's phones, and the second choice where it lies between two.
    private static let single: [Unicode.Scalar: [[String]]] = [
        "a": [["AA"]], "ɐ": [["AH"]], "æ": [["AH"], ["AE"]], "ə": [["AH"]], "ʌ": [["AH"]], "ɑ": [["AA"]],
        "ɒ": [["AA"]], "e": [["EY"], ["EH"]], "ɛ": [["EH"]], "ɜ": [["ER"]], "ɚ": [["ER"]], "ɝ": [["ER"]],
        "i": [["IY"]], "ɪ": [["IH"]], "ɨ": [["IH"]], "y": [["IH"]], "o": [["OW"], ["AO"]], "ɔ": [["AO"]],
        "u": [["UW"]], "ʊ": [["UH"]], "p": [["P"]], "b": [["B"]], "t": [["T"]], "d": [["D"]], "k": [["K"]],
        "ɡ": [["G"]], "g": [["G"]], "f": [["F"]], "v": [["V"]], "s": [["S"]], "z": [["Z"]], "ʃ": [["SH"]],
        "ʒ": [["ZH"]], "m": [["M"]], "n": [["N"]], "ŋ": [["NG"]], "ɲ": [["N", "Y"]], "l": [["L"]], "ɫ": [["L"]],
        "ʎ": [["L", "Y"]], "r": [["R"]], "ɾ": [["R"]], "ɹ": [["R"]], "ʁ": [["HH"]], "j": [["Y"]], "w": [["W"]],
        "h": [["HH"]], "x": [["HH"]], "χ": [["HH"]], "ɣ": [["G"]], "θ": [["TH"]], "ð": [["DH"]], "β": [["B"], ["V"]],
    ]
}
