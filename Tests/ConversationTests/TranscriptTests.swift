import Assistants
import Telephony
import Testing

@testable import Conversation

@Suite struct TranscriptTests {
    @Test("The blanks at which pieces of a text meet are between words, and not at the ends of a turn")
    func blanks() throws {
        var transcript = Transcript()
        transcript.callerBegan(item: 1, session: 1, at: .zero)
        transcript.callerSaid(" when do you open? \n", item: 1, session: 1, isFinal: true, at: .seconds(1))
        let item = PlayoutItem(session: 1, number: 1)
        for piece in ["We ", "open ", "at nine. "] {
            transcript.agentSaid(piece, item: item, isFinal: false, at: .seconds(2))
        }
        #expect(transcript.turns.map(\.text.value) == ["when do you open?", "We open at nine."])
        #expect(transcript.turns.first?.heardText.value == "when do you open?")
    }

    @Test("A turn of blanks alone is none")
    func nothing() {
        var transcript = Transcript()
        transcript.callerSaid(" \n", item: 1, session: 1, isFinal: true, at: .zero)
        #expect(transcript.turns.isEmpty)
    }
}
