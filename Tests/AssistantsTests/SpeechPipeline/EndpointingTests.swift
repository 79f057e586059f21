import Testing

@testable import Assistants

/// One character is 100 ms: `S` speech, `.` silence. The turn is over where the caller's silence has lasted long enough.
@Suite struct EndpointingTests {
    /// Walks the line and gives the index at which the turn ends, or nil; the turn's words are the same throughout.
    private func end(_ line: String, words: String, _ endpointing: inout Endpointing, from start: Int = 0) -> Int? {
        var isSpeaking = false
        for (index, mark) in line.enumerated() {
            let now: Duration = .milliseconds(100) * (start + index)
            if mark == "S", !isSpeaking { endpointing.speechStarted(at: now) }
            if mark == ".", isSpeaking { endpointing.speechStopped(since: now) }
            isSpeaking = mark == "S"
            if !isSpeaking, let due = endpointing.deadline(words: words), now >= due {
                endpointing.committed(at: now)
                return index
            }
        }
        return nil
    }

    @Test(
        "Finished words need less silence, unfinished ones more",
        arguments: [
            ("en", "I am done.", 8), ("en", "I am done", 9), ("en", "I am done and", 12), ("en", "first,", 12),
            ("it", "vorrei parlare con", 12), ("it", "grazie!", 8), ("pt-BR", "eu quero falar com", 12),
            ("pt-BR", "pronto", 9), ("en", "", 9),
        ])
    func words(language: String, words: String, end: Int) {
        var endpointing = Endpointing(silence: .milliseconds(600), language: language)
        #expect(self.end("SSS............", words: words, &endpointing) == end)
    }

    @Test("A caller who pauses long within a turn is given longer pauses, up to twice, and a brisk one is not")
    func pace() {
        var slow = Endpointing(silence: .milliseconds(500), language: "en")
        // Pauses of 400 ms, each shorter than the silence: the caller goes on after every one.
        #expect(self.end("SS....SS....SS....SS....SS", words: "well", &slow) == nil)
        let calm = slow.wait(after: "well")
        #expect(calm > .milliseconds(460))
        // Cut off three times, and gone on each time: this caller pauses for longer than the measure.
        var start = 100
        for _ in 0..<4 {
            let end = self.end("SSS..............", words: "well", &slow, from: start)
            #expect(end != nil)
            start += (end ?? 0) + 3
        }
        let patient = slow.wait(after: "well")
        #expect(patient > .milliseconds(600) && patient <= .milliseconds(1000))
        var brisk = Endpointing(silence: .milliseconds(500), language: "en")
        #expect(self.end("SS.SS.SS.SS", words: "well", &brisk) == nil)
        #expect(brisk.wait(after: "well") == .milliseconds(500))
    }

    @Test("A pause that was an answer's length is no habit of the caller")
    func answered() {
        var endpointing = Endpointing(silence: .milliseconds(500), language: "en")
        #expect(self.end("SSS........", words: "yes", &endpointing) != nil)
        endpointing.answered()
        _ = self.end("SSS........", words: "yes", &endpointing, from: 14)
        #expect(endpointing.wait(after: "yes") == .milliseconds(500))
    }
}
