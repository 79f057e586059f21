import Foundation
import Glibc
import Telephony
import Testing

@testable import PhoneServer

@Suite("The folder of spoken files", .timeLimit(.minutes(1))) struct SpeechFilesTests {
    private static let one = TenantID("11111111-1111-1111-1111-111111111111")!
    private static let other = TenantID("22222222-2222-2222-2222-222222222222")!

    private func withFolder(_ body: (SpeechFiles) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/pronto-files-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(SpeechFiles(folder: folder))
    }

    private func read(_ files: SpeechFiles, _ path: String) async -> [UInt8]? {
        await withCheckedContinuation { continuation in files.read(path) { continuation.resume(returning: $0) } }
    }

    @Test("A sender of one tenant names that tenant's files only, by whatever way it goes")
    func tenants() async throws {
        try await self.withFolder { files in
            let theirs = try #require(
                await withCheckedContinuation { continuation in
                    files.write([1, 2, 3], of: Self.other) { continuation.resume(returning: $0) }
                })
            #expect(files.path(theirs, bound: nil) != nil)
            #expect(files.path(theirs, bound: Self.other) != nil)
            for name in [theirs, "\(Self.one.text)/../\(Self.other.text)/x.wav", "x.wav", "", "/etc/hostname"] {
                #expect(files.path(name, bound: Self.one) == nil)
            }
            let place = files.folder + "/" + Self.one.text
            try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(atPath: place + "/link.wav", withDestinationPath: theirs)
            #expect(files.path("\(Self.one.text)/link.wav", bound: Self.one) == nil)
            #expect(files.path("\(Self.one.text)/mine.wav", bound: Self.one) != nil)
            #expect(await self.read(files, theirs) == [1, 2, 3])
        }
    }

    @Test("What is no file, or too large, is not read, and nobody waits for it")
    func noFile() async throws {
        try await self.withFolder { files in
            let pipe = files.folder + "/pipe"
            #expect(mkfifo(pipe, 0o600) == 0)
            #expect(await self.read(files, pipe) == nil)
            #expect(await self.read(files, files.folder) == nil)
            let large = files.folder + "/large.wav"
            #expect(FileManager.default.createFile(atPath: large, contents: nil))
            #expect(truncate(large, Int(SpeechFiles.largest) + 1) == 0)
            #expect(await self.read(files, large) == nil)
            #expect(truncate(large, 4) == 0)
            #expect(await self.read(files, large) == [0, 0, 0, 0])
        }
    }

    @Test("What was spoken goes after an hour; recordings stay")
    func lifetime() async throws {
        try await self.withFolder { files in
            let spoken = try #require(
                await withCheckedContinuation { continuation in
                    files.write([1], of: Self.one) { continuation.resume(returning: $0) }
                })
            let recorded = files.folder + "/caller.wav"
            #expect(FileManager.default.createFile(atPath: recorded, contents: Data([1])))
            SpeechFiles.sweep(files.folder, at: Date())
            #expect(FileManager.default.fileExists(atPath: spoken))
            SpeechFiles.sweep(files.folder, at: Date() + SpeechFiles.lifetime + 60)
            #expect(!FileManager.default.fileExists(atPath: spoken))
            #expect(FileManager.default.fileExists(atPath: recorded))
        }
    }
}
