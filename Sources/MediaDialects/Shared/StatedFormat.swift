import Telephony

/// Formats as an address, a metadata text or a configuration writes them.
package enum StatedFormat {
    /// `8000`, `16000`, `8k`, `16k`: a multiple of 8 000 up to 48 000, as FreeSWITCH's modules take them
    /// (protocols/freeswitch.md §3.2). Nil for anything else.
    package static func rate(_ text: String) -> SampleRate? {
        let isInThousands: Bool = text.hasSuffix("k")
        let digits: Substring = isInThousands ? text.dropLast() : text[...]
        guard digits.utf8.count <= 5, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(digits)
        else { return nil }
        let rate = SampleRate(hertz: isInThousands ? number * 1000 : number)
        return self.isUsable(rate) ? rate : nil
    }

    /// `l16`, `pcmu`, `pcma` in any case.
    package static func encoding(_ text: String) -> AudioEncoding? { AudioEncoding(rawValue: text.lowercased()) }

    /// `1`, `2`, `mono`, `mixed`, `stereo`.
    package static func channels(_ text: String) -> Int? {
        switch text.lowercased() {
        case "1", "mono", "mixed": 1
        case "2", "stereo": 2
        default: nil
        }
    }

    package static func format(rate: String, encoding: String, channels: String) -> AudioFormat? {
        guard let rate = self.rate(rate), let encoding = self.encoding(encoding),
            let channels = self.channels(channels)
        else { return nil }
        let format = AudioFormat(encoding, rate, channels: channels)
        return self.isUsable(format) ? format : nil
    }

    /// Whether a leg can have this format: G.711 is 8 kHz mono (of `stereo 8k pcmu` the module never returns).
    package static func isUsable(_ format: AudioFormat) -> Bool {
        guard self.isUsable(format.rate), (1...2).contains(format.channels) else { return false }
        return format.encoding == .l16 || (format.rate == .narrowband && format.channels == 1)
    }

    private static func isUsable(_ rate: SampleRate) -> Bool {
        (8000...48000).contains(rate.hertz) && rate.hertz % 8000 == 0
    }
}
