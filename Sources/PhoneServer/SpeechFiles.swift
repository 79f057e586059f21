import Dispatch
import Foundation
import Glibc
import Telephony

/// The folder that dialplan scripts and `/api/v1` share (PRONTO_API_AUDIO): recordings come in, spoken sentences go out.
///
/// Each tenant has a folder of its own in it, named by its id. Spoken sentences stay for an hour: no script plays one later.
/// Everything here blocks; it runs on a queue of its own.
struct SpeechFiles: Sendable {
    let folder: String
    private let queue = DispatchQueue(label: "pronto.speech-files")

    static let largest = 8 * 1024 * 1024
    static let lifetime: TimeInterval = 3600

    /// Where `name` is; nil: not where the sender's files are.
    ///
    /// - Parameter bound: the only tenant whose files the sender may name; nil: any within the folder.
    func path(_ name: String, bound: TenantID?) -> String? {
        let root: String = URL(fileURLWithPath: self.folder).resolvingSymlinksInPath().path
        let url = name.hasPrefix("/") ? URL(fileURLWithPath: name) : URL(fileURLWithPath: self.folder + "/" + name)
        let path: String = url.resolvingSymlinksInPath().path
        return path.hasPrefix(bound.map { "\(root)/\($0.text)/" } ?? root + "/") ? path : nil
    }

    /// A recording; nil: it cannot be read, is no file, or is beyond `largest`.
    func read(_ path: String, done: @escaping @Sendable ([UInt8]?) -> Void) {
        self.queue.async { done(Self.contents(path)) }
    }

    private static func contents(_ path: String) -> [UInt8]? {
        // Not waiting: a pipe that nobody writes would be waited for without an end.
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.largest,
            let data = try? file.read(upToCount: Self.largest + 1), data.count <= Self.largest
        else { return nil }
        return Array(data)
    }

    /// Writes a sentence for `tenant` and takes away those whose time is over.
    ///
    /// - Parameter done: its path; nil: it could not be written.
    func write(_ wav: [UInt8], of tenant: TenantID, done: @escaping @Sendable (String?) -> Void) {
        self.queue.async {
            let place: String = self.folder + "/" + tenant.text
            let path: String = "\(place)/tts-\(UUID().uuidString.lowercased()).wav"
            try? FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
            let isWritten: Bool = FileManager.default.createFile(atPath: path, contents: Data(wav))
            done(isWritten ? path : nil)
            Self.sweep(self.folder, at: Date())
        }
        // The last of a day has nobody after it who takes it away.
        self.queue.asyncAfter(deadline: .now() + Self.lifetime + 1) { Self.sweep(self.folder, at: Date()) }
    }

    /// Takes away what has been spoken more than `lifetime` ago; nothing else.
    static func sweep(_ folder: String, at now: Date) {
        let files = FileManager.default
        for place in [folder]
            + ((try? files.contentsOfDirectory(atPath: folder)) ?? []).compactMap({ name in
                TenantID(name).map { _ in folder + "/" + name }
            })
        {
            for name in (try? files.contentsOfDirectory(atPath: place)) ?? []
            where name.hasPrefix("tts-") && name.hasSuffix(".wav") {
                let path: String = place + "/" + name
                guard let written = (try? files.attributesOfItem(atPath: path))?[.modificationDate] as? Date,
                    now.timeIntervalSince(written) > Self.lifetime
                else { continue }
                // Another round follows.
                try? files.removeItem(atPath: path)
            }
        }
    }
}
