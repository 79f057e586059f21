import CLinux
import COpenSSL

/// The texts of the opening handshake (RFC 6455 §4) and of its extension (RFC 7692 §7).
enum WebSocketHandshake {
    /// The answer to a `Sec-WebSocket-Key` (§4.2.2).
    static func accept(for key: String) -> String {
        let input = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
        var digest = [UInt8](repeating: 0, count: 20)
        SHA1(input, input.count, &digest)
        return base64(digest)
    }

    static func base64(_ bytes: [UInt8]) -> String {
        var encoded = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let count = EVP_EncodeBlock(&encoded, bytes, Int32(bytes.count))
        return String(decoding: encoded[..<max(0, Int(count))], as: UTF8.self)
    }

    /// Whether `key` is 16 bytes in base64 (§4.2.1): 22 characters and `==`.
    static func isValidKey(_ key: String) -> Bool {
        let characters = key.utf8
        guard characters.count == 24, key.hasSuffix("==") else { return false }
        return characters.dropLast(2).allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }

    /// `count` bytes of the kernel's random source; nil when it fails.
    static func random(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return pronto_random(&bytes, count) == 0 ? bytes : nil
    }

    static func seed() -> UInt64? {
        guard let bytes = self.random(8) else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }

    // MARK: permessage-deflate

    /// One element of `Sec-WebSocket-Extensions`.
    struct Extension: Equatable {
        var name: String
        var parameters: [(name: String, value: String?)]

        static func == (lhs: Extension, rhs: Extension) -> Bool {
            lhs.name == rhs.name && lhs.parameters.elementsEqual(rhs.parameters) { $0 == $1 }
        }
    }

    static func extensions(in fields: [String]) -> [Extension] {
        fields.flatMap { field in
            field.split(separator: ",").prefix(16).compactMap { element in
                let parts = element.split(separator: ";", omittingEmptySubsequences: false).map(trimmed)
                guard let name = parts.first, !name.isEmpty else { return nil }
                let parameters = parts.dropFirst().map { part in
                    let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(trimmed)
                    let value = pair.count > 1 ? String(pair[1]).replacing("\"", with: "") : nil
                    return (name: pair[0].lowercased(), value: value)
                }
                return Extension(name: name.lowercased(), parameters: parameters)
            }
        }
    }

    /// What a server makes of a client's offers: the first that it can keep (RFC 7692 §7.1), and the answer's text.
    static func acceptDeflate(_ offers: [Extension], _ options: DeflateOptions)
        -> (agreement: DeflateAgreement, answer: String)?
    {
        for offer in offers where offer.name == "permessage-deflate" {
            guard let wanted = Parameters(offer.parameters, isOffer: true) else { continue }
            var agreement = DeflateAgreement()
            var answer = "permessage-deflate"
            let bits = min(wanted.serverBits ?? 15, max(9, options.windowBits))
            // zlib has no raw deflate with a window of 256 bytes.
            guard bits >= 9 else { continue }
            agreement.sendWindowBits = bits
            if wanted.serverBits != nil || bits < 15 { answer += "; server_max_window_bits=\(bits)" }
            agreement.sendsWithoutContext = wanted.serverNoContext || options.sendsWithoutContext
            if agreement.sendsWithoutContext { answer += "; server_no_context_takeover" }
            agreement.receivesWithoutContext = wanted.clientNoContext || options.asksForNoContext
            if agreement.receivesWithoutContext { answer += "; client_no_context_takeover" }
            if wanted.offersClientBits {
                let theirs = min(wanted.clientBits ?? 15, max(8, options.peerWindowBits))
                agreement.receiveWindowBits = theirs
                if theirs < 15 || wanted.clientBits != nil { answer += "; client_max_window_bits=\(theirs)" }
            }
            return (agreement, answer)
        }
        return nil
    }

    static func offer(_ options: DeflateOptions) -> String {
        var text = "permessage-deflate"
        text += options.windowBits < 15 ? "; client_max_window_bits=\(options.windowBits)" : "; client_max_window_bits"
        if options.peerWindowBits < 15 { text += "; server_max_window_bits=\(options.peerWindowBits)" }
        if options.sendsWithoutContext { text += "; client_no_context_takeover" }
        if options.asksForNoContext { text += "; server_no_context_takeover" }
        return text
    }

    /// What a client makes of the server's answer. `.some(nil)`: no compression; nil: an answer that breaks the rules.
    static func readDeflate(_ answers: [Extension], _ options: DeflateOptions?) -> DeflateAgreement?? {
        guard let answer = answers.first else { return .some(nil) }
        guard answers.count == 1, answer.name == "permessage-deflate", let options,
            let agreed = Parameters(answer.parameters, isOffer: false)
        else { return nil }
        let serverBits = agreed.serverBits ?? 15
        guard serverBits <= options.peerWindowBits, !options.asksForNoContext || agreed.serverNoContext else {
            return nil
        }
        let clientBits = min(agreed.clientBits ?? 15, options.windowBits)
        guard clientBits >= 9 else { return nil }
        return .some(
            DeflateAgreement(
                sendWindowBits: clientBits, receiveWindowBits: serverBits,
                sendsWithoutContext: agreed.clientNoContext || options.sendsWithoutContext,
                receivesWithoutContext: agreed.serverNoContext))
    }

    /// The parameters of RFC 7692 §7.1; nil for unknown, repeated or ill-valued ones.
    private struct Parameters {
        var serverNoContext = false
        var clientNoContext = false
        var serverBits: Int?
        var clientBits: Int?
        var offersClientBits = false

        init?(_ parameters: [(name: String, value: String?)], isOffer: Bool) {
            var seen: Set<String> = []
            for (name, value) in parameters {
                guard seen.insert(name).inserted else { return nil }
                switch (name, value) {
                case ("server_no_context_takeover", nil): self.serverNoContext = true
                case ("client_no_context_takeover", nil): self.clientNoContext = true
                case ("server_max_window_bits", let value?):
                    guard let bits = Parameters.bits(value) else { return nil }
                    self.serverBits = bits
                case ("client_max_window_bits", let value?):
                    guard let bits = Parameters.bits(value) else { return nil }
                    self.clientBits = bits
                    self.offersClientBits = true
                case ("client_max_window_bits", nil) where isOffer: self.offersClientBits = true
                default: return nil
                }
            }
        }

        private static func bits(_ text: String) -> Int? {
            guard text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), !text.hasPrefix("0"), let bits = Int(text),
                (8...15).contains(bits)
            else { return nil }
            return bits
        }
    }
}
