import Telephony
import Testing

private func encoded(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    bytes.withUnsafeBytes { Base64.encode($0, into: &text) }
    return String(decoding: text, as: UTF8.self)
}

private func decoded(_ text: String) throws(Base64Error) -> [UInt8] {
    var bytes: [UInt8] = [42]
    let input: [UInt8] = Array(text.utf8)
    let failure: Base64Error? = input.withUnsafeBytes { input in
        do throws(Base64Error) {
            try Base64.decode(input, into: &bytes)
            return nil
        } catch { return error }
    }
    // Whatever happens, what stood in the buffer stays.
    #expect(bytes.first == 42)
    if let failure {
        #expect(bytes == [42])
        throw failure
    }
    return Array(bytes.dropFirst())
}

@Suite struct Base64Tests {
    @Test(
        "RFC 4648 §10's own examples",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func examples(plain: String, text: String) throws {
        #expect(encoded(Array(plain.utf8)) == text)
        #expect(try decoded(text) == Array(plain.utf8))
    }

    @Test("Every byte at every place comes back")
    func everyByte() throws {
        for byte in UInt8.min...UInt8.max {
            for length in 1...7 {
                let bytes: [UInt8] = (0..<length).map { byte &+ UInt8($0) &* 85 }
                #expect(try decoded(encoded(bytes)) == bytes)
            }
        }
    }

    @Test("A byte outside the alphabet is refused at every place of every group")
    func foreignByte() {
        let alphabet: Set<UInt8> = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for place in 0..<12 {
            for byte in UInt8.min..<0x80 where !alphabet.contains(byte) {
                var text: [UInt8] = Array("Zm9vYmFyZm9v".utf8)
                text[place] = byte
                // A pad that ends the text is padding, and then the bits before it count.
                if place == 11, byte == UInt8(ascii: "=") { continue }
                #expect(throws: Base64Error.invalidGroup(offset: place / 4 * 4)) {
                    try decoded(String(decoding: text, as: UTF8.self))
                }
            }
        }
        #expect(throws: Base64Error.invalidGroup(offset: 0)) { try decoded("Zm9\u{E9}Zm9") }
    }

    @Test(
        "Lost or misplaced padding, and bits that no byte takes, are refused",
        arguments: [
            "Zg=", "Zg", "Z", "Zm9vY", "=", "====", "Z===", "Zg==Zg==", "Zm=v", "Zh==", "Zm9=", "=Zg=", "Zm9v\n",
        ])
    func padding(text: String) {
        #expect(throws: Base64Error.self) { try decoded(text) }
    }
}
