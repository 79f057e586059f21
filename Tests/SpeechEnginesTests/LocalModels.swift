import Foundation

/// The real program and models that `scripts/install --with-piper --with-models` fetches.
enum LocalModels {
    static var piper: String { Self.path(".deps/piper/bin/piper") }
    static var voice: String { Self.path(".deps/voices/en_US-joe-medium.onnx") }
    static var recogniser: String { Self.path(".deps/recognisers/tiny-en") }

    static let hasPiper = FileManager.default.isExecutableFile(atPath: piper) && hasVoice
    static let hasVoice = FileManager.default.isReadableFile(atPath: voice + ".json")
    static let hasRecogniser = FileManager.default.isReadableFile(atPath: recogniser + "/tokenizer.bin")

    private static func path(_ name: String) -> String { Voices.repository.appendingPathComponent(name).path }
}

/// A folder of this test's own, removed at its end.
func withTemporaryFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let folder: String = NSTemporaryDirectory() + "pronto-speech-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await body(folder)
}
