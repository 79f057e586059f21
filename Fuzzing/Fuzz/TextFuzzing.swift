import Audio
import Configuration
import Telephony

/// Texts and files.
enum TextFuzzing {
    static func jsonScan(_ bytes: UnsafeRawBufferPointer) {
        guard let scan = try? JSONScan(bytes) else { return }
        self.walk(scan, depth: 0)
    }

    private static func walk(_ scan: JSONScan, depth: Int) {
        precondition(depth <= JSONScan.maximumDepth, "deeper than the scanner allows")
        _ = (scan.string, scan.integer, scan.double, scan.bool, scan["type"]?.kind)
        scan.forEachMember { key, value in
            _ = (key.string, key.isText("delta"))
            self.walk(value, depth: depth + 1)
        }
        scan.forEachElement { self.walk($0, depth: depth + 1) }
    }

    /// What is taken must come back as the same text; any bytes must survive the way there and back.
    static func base64(_ bytes: UnsafeRawBufferPointer) {
        var decoded: [UInt8] = [7]
        if (try? Base64.decode(bytes, into: &decoded)) != nil {
            var again: [UInt8] = []
            decoded.withUnsafeBytes { Base64.encode(UnsafeRawBufferPointer(rebasing: $0[1...]), into: &again) }
            precondition(again.elementsEqual(bytes), "two texts for the same bytes")
        }
        precondition(decoded[0] == 7, "what stood before was touched")
        var text: [UInt8] = []
        Base64.encode(bytes, into: &text)
        var plain: [UInt8] = []
        let isBack: Bool = text.withUnsafeBytes { (try? Base64.decode($0, into: &plain)) != nil }
        precondition(isBack && plain.elementsEqual(bytes), "bytes did not survive")
    }

    static func wav(_ bytes: UnsafeRawBufferPointer) {
        guard let wav = try? WAV(parsing: bytes) else { return }
        _ = wav.duration
        let again = try? WAV(parsing: wav.encoded())
        precondition(again == wav, "a WAV that is written is read otherwise")
    }

    static func configuration(_ decoder: FuzzedDecoder, _ bytes: UnsafeRawBufferPointer) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return }
        let values: [RawValue]?
        switch decoder {
        case .toml: values = try? TOML.values(in: text, name: "pronto.toml")
        case .jsonFile: values = try? JSONFile.values(in: text, name: "pronto.json")
        default: values = try? DotEnv.values(in: text, name: ".env")
        }
        if let values { _ = try? Settings(layers: [values]) }
    }
}
