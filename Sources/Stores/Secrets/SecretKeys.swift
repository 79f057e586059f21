import COpenSSL
import Foundation
import Records
import Telephony

/// Why a text is no list of keys. Says where, never what.
package enum KeyListError: Error, Equatable, CustomStringConvertible {
    case empty
    case unreadableFile
    /// The entry (from 1) is no base64, or of the wrong length.
    case malformed(entry: Int, bytes: ClosedRange<Int>)
    case badIdentifier(entry: Int)
    case repeatedIdentifier(entry: Int)

    package var description: String {
        switch self {
        case .empty: "the list of keys is empty"
        case .unreadableFile: "the key file cannot be read"
        case .malformed(let entry, let bytes):
            bytes.count == 1
                ? "key \(entry) is not \(bytes.lowerBound) bytes in base64"
                : "key \(entry) is not \(bytes.lowerBound) to \(bytes.upperBound) bytes in base64"
        case .badIdentifier(let entry): "key \(entry) has an id that is not 1-16 of a-z, A-Z, 0-9, - and _"
        case .repeatedIdentifier(let entry): "key \(entry) repeats an id"
        }
    }
}

/// Keys by their ids, the first of them in use: `id:base64[,id:base64…]`. A key without an id has the id `1`.
package struct KeyList: Sendable, CustomStringConvertible, CustomReflectable {
    package struct Key: Sendable {
        let id: String
        let bytes: [UInt8]
    }

    let keys: [Key]
    var current: Key { self.keys[0] }
    func key(_ id: some StringProtocol) -> Key? { self.keys.first { $0.id == id } }

    package init(_ text: String, bytes: ClosedRange<Int>) throws(KeyListError) {
        var keys: [Key] = []
        let entries = text.split { $0 == "," || $0.isWhitespace }
        for (index, entry) in entries.enumerated() {
            let parts = entry.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let id = parts.count == 2 ? String(parts[0]) : "1"
            guard (1...16).contains(id.utf8.count), id.utf8.allSatisfy(Base64URL.isDigit) else {
                throw .badIdentifier(entry: index + 1)
            }
            guard !keys.contains(where: { $0.id == id }) else { throw .repeatedIdentifier(entry: index + 1) }
            guard let data = Data(base64Encoded: String(parts[parts.count - 1])), bytes.contains(data.count) else {
                throw .malformed(entry: index + 1, bytes: bytes)
            }
            keys.append(Key(id: id, bytes: [UInt8](data)))
        }
        guard !keys.isEmpty else { throw .empty }
        self.keys = keys
    }

    package var description: String { "‹keys›" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// The keys that secrets are encrypted with at rest (`PRONTO_SECRET_KEY`): 32 bytes each; the first encrypts, all
/// decrypt, so that a new key is put in front and the old one removed after `rotateSecrets()`.
package struct SecretKeys: Sendable {
    let list: KeyList

    package init(_ text: String) throws(KeyListError) { self.list = try KeyList(text, bytes: 32...32) }

    package init(file path: String) throws(KeyListError) {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { throw .unreadableFile }
        try self.init(text)
    }

    /// A new key as text, for `pronto provider new-key` and `pronto token new-key`.
    package static func generated(id: String = "1") throws(StoreError) -> String {
        "\(id):\(Data(try SecretBox.random(32)).base64EncodedString())"
    }
}
