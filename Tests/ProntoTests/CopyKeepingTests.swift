import Foundation
import Observability
import Records
import Stores
import Synchronization
import Telephony
import Testing

@testable import pronto

@Suite("The copy of the configuration is kept true", .timeLimit(.minutes(2)))
struct CopyKeepingTests {
    private struct Place {
        var copy: ConfigurationCopy
        var store: SQLStore
        let lines = Lines()

        var names: [String] {
            (try? self.copy.read(secretKeys: nil).tenants.map(\.tenant.name).sorted()) ?? []
        }
        /// Another file in its place has another number.
        var file: Int? {
            let attributes = try? FileManager.default.attributesOfItem(atPath: self.copy.path)
            return attributes?[.systemFileNumber] as? Int
        }

        func save(_ number: Int) async throws {
            let id = try #require(TenantID("00000000-0000-4000-8000-00000000000\(number)"))
            try await self.store.save(Tenant(id: id, name: "tenant\(number).example"))
        }
        func age() throws {
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -5000)], ofItemAtPath: self.copy.path)
        }
    }

    private func withKeeping(
        pause: Duration, folder name: String = "", _ body: (CopyKeeping, Place) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let store = try await SQLStore(path: folder + "/pronto.db")
            let place = Place(copy: ConfigurationCopy(path: folder + name + "/copy"), store: store)
            let keeping = CopyKeeping(place.copy, store, place.lines.logger(.info), pause: pause)
            let task = Task { await keeping.run() }
            let result: Result<Void, any Error>
            do { result = .success(try await body(keeping, place)) } catch { result = .failure(error) }
            task.cancel()
            await task.value
            await store.close()
            try result.get()
        }
    }

    @Test("A first look writes it, a change writes it anew, and a look that finds nothing new only says so")
    func written() async throws {
        try await self.withKeeping(pause: .zero) { keeping, place in
            try await place.save(1)
            keeping.confirmed()
            try await soon("it is there") { place.names == ["tenant1.example"] }
            // The last word may still be under way: of this one the file's age tells.
            try place.age()
            let file = try #require(place.file)
            try await place.save(2)
            keeping.confirmed()
            try await soon("it is young again") { (place.copy.age() ?? .seconds(9999)) < .seconds(1000) }
            #expect(place.file == file && place.names == ["tenant1.example"], "nobody said that it changed")
            keeping.changed()
            try await soon("the change is in it") { place.names == ["tenant1.example", "tenant2.example"] }
        }
    }

    @Test("Many changes within the pause are one file, and the last of them is in the next")
    func pause() async throws {
        try await self.withKeeping(pause: .seconds(1)) { keeping, place in
            try await place.save(1)
            keeping.changed()
            try await soon("it is there") { place.names.count == 1 }
            let (began, file) = (ContinuousClock.now, place.file)
            for number in 2...5 {
                try await place.save(number)
                keeping.changed()
            }
            // Within the pause it is the same file; a machine that stood still for longer has shown nothing.
            let isSame = place.file == file
            #expect(isSame || ContinuousClock.now - began > .milliseconds(900))
            // Whoever follows the database says every so often that all is true.
            try await soon("all of them are in it") {
                keeping.confirmed()
                return place.names.count == 5
            }
        }
    }

    @Test("What could not be written is said, and is written with the next word")
    func refused() async throws {
        try await self.withKeeping(pause: .zero, folder: "/later") { keeping, place in
            try await place.save(1)
            keeping.changed()
            try await soon("it is said") { place.lines.all.contains { $0.contains("was not written") } }
            #expect(!place.copy.exists)
            try FileManager.default.createDirectory(
                atPath: (place.copy.path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try await soon("it is there") {
                keeping.confirmed()
                return place.names == ["tenant1.example"]
            }
        }
    }
}
