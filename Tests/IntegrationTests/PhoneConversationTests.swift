import Telephony
import Testing

@testable import Simulators

@Suite("The phone's conversation and its summary")
struct PhoneConversationTests {
    private static func names(_ change: (inout PhoneConversation) -> Void) -> [String] {
        var conversation = PhoneConversation()
        change(&conversation)
        return conversation.script.map(\.name)
    }

    @Test("Turns are spoken and listened to in turn")
    func turns() {
        #expect(Self.names { _ in } == ["listen", "hang-up"])
        #expect(
            Self.names { $0.turns = [[1], [2]] } == ["listen", "speak", "listen", "speak", "listen", "hang-up"])
        #expect(
            Self.names { $0.digits = [Redacted("1"), Redacted("2")] }
                == ["listen", "digit", "silence", "digit", "silence", "listen", "hang-up"])
    }

    @Test("Interruptions come in place of listening, and a lone turn interrupts itself")
    func interruptions() {
        for turns: [[Int16]] in [[[1]], [[1], [2]]] {
            #expect(
                Self.names {
                    $0.turns = turns
                    $0.interruptAfter = .milliseconds(800)
                } == ["listen", "speak", "interrupt", "listen", "hang-up"])
        }
    }

    @Test("A long call repeats its turns")
    func length() {
        let names: [String] = Self.names {
            $0.turns = [[1]]
            $0.length = .seconds(3)
        }
        #expect(names.count { $0 == "speak" } == 4)
        #expect(names.suffix(2) == ["silence", "hang-up"])
    }

    @Test("A summary counts failures by their reason")
    func summary() {
        var good = PhoneResult()
        good.end = .hungUp
        good.firstAudio = .milliseconds(100)
        good.answers = [.milliseconds(300), .milliseconds(500)]
        var silent = PhoneResult()
        silent.end = .hungUp
        let summary = PhoneSummary([good, silent, good])
        #expect(summary.failures == ["agent-silent": 1])
        #expect(summary.failed == 1)
        let answers: PhoneSummary.Spread? = summary.spreads.first { $0.name == "answer" }?.spread
        #expect(answers?.count == 4)
        #expect(answers?.p50 == 300)
        #expect(answers?.maximum == 500)
        #expect(summary.json.contains(#""answer_ms":{"n":4,"p50":300,"p95":500,"p99":500,"max":500}"#))
        #expect(summary.json.contains(#""barge_in_ms":{"n":0}"#))
        #expect(summary.table.contains("agent-silent: 1"))
    }
}
