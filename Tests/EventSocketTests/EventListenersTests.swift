import EventSocket
import Telephony
import Testing

@Suite struct EventListenersTests {
    private static let one = CallID("708cb2e8-5f6e-4238-a18d-3b64fd03d8a1")!
    private static let other = CallID("4500d4b5-8aaa-403f-8a72-dbca171df510")!

    private func event(_ name: String, of channel: CallID? = nil, subclass: String? = nil) -> SwitchEvent {
        var headers = [(name: "Event-Name", value: name)]
        if let channel { headers.append(("Unique-ID", channel.text)) }
        if let subclass { headers.append(("Event-Subclass", subclass)) }
        return SwitchEvent(headers: EventSocketHeaders(plain: headers), body: [])
    }

    @Test("Each event finds those who want it, by name, channel and subclass, in the order in which they came")
    func matching() {
        var listeners = EventListeners()
        let all = listeners.add(EventInterest([]))
        let ofOne = listeners.add(EventInterest([.dtmf], of: Self.one))
        let answers = listeners.add(EventInterest([.channelAnswer]))
        let stream = listeners.add(EventInterest([], subclasses: ["mod_audio_stream::play"], of: Self.other))
        #expect(listeners.listeners(to: self.event("DTMF", of: Self.one)) == [all, ofOne])
        #expect(listeners.listeners(to: self.event("DTMF", of: Self.other)) == [all])
        #expect(listeners.listeners(to: self.event("CHANNEL_ANSWER", of: Self.other)) == [all, answers])
        #expect(
            listeners.listeners(to: self.event("CUSTOM", of: Self.other, subclass: "mod_audio_stream::play"))
                == [all, stream])
        #expect(
            listeners.listeners(to: self.event("CUSTOM", of: Self.other, subclass: "mod_audio_stream::json")) == [all])
        #expect(listeners.listeners(to: self.event("HEARTBEAT")) == [all])
        #expect(listeners.listeners(of: Self.one) == [ofOne])
    }

    @Test("Who has left hears nothing, and leaving twice does nothing")
    func removal() {
        var listeners = EventListeners()
        let one = listeners.add(EventInterest([.dtmf], of: Self.one))
        #expect(listeners.remove(one)?.channel == Self.one)
        #expect(listeners.remove(one) == nil)
        #expect(listeners.listeners(to: self.event("DTMF", of: Self.one)) == [])
        #expect(listeners.isEmpty)
    }
}
