import Telephony

// What the assistant makes of the caller's words and keys: what it asks, says and does.
extension LocalAssistantMachine {
    mutating func answer(
        _ understanding: Understanding, at now: Duration, _ output: inout AssistantOutput
    ) {
        guard case .choice(let intent, let confidence) = understanding else {
            self.missed(at: now, &output)
            return
        }
        if case .confirming(let asked) = self.phase {
            self.phase = .listening
            switch intent {
            case .yes:
                self.misses = 0
                self.act(on: asked, at: now, &output)
                return
            case .no:
                self.say([self.sentence(.askChoice), self.choicesHint()], at: now, &output)
                return
            case asked:
                // Said twice: that is a yes.
                self.misses = 0
                self.act(on: asked, at: now, &output)
                return
            default: break
            }
        }
        self.misses = 0
        let isSure: Bool = confidence >= (self.configuration.sureConfidence ?? self.language.sureConfidence)
        if !isSure, let name = self.confirmable(intent) {
            self.phase = .confirming(intent)
            self.say([self.sentence(.didYouSay(name))], at: now, &output)
        } else {
            self.act(on: intent, at: now, &output)
        }
    }

    /// What a mistake would cost something is asked back when unsure; the rest is harmless.
    func confirmable(_ intent: LocalIntent) -> String? {
        switch intent {
        case .destination(let index): self.configuration.destinations[index].name
        case .callOperator: self.configuration.operatorIndex.map { self.configuration.destinations[$0].name }
        case .goodbye: CarrierPhrases.of(self.language).goodbye.first
        case .topic(let index): self.configuration.topics[index].name
        case .yes, .no, .help, .repeatLast, .leaveMessage: nil
        }
    }

    mutating func act(on intent: LocalIntent, at now: Duration, _ output: inout AssistantOutput) {
        self.phase = .listening
        switch intent {
        case .destination(let index): self.transfer(to: index, at: now, &output)
        case .callOperator: self.callOperator(at: now, &output)
        case .topic(let index):
            let answer: [String] = SentenceSplitter.split(self.configuration.topics[index].answer)
            self.say(answer + [self.sentence(.anythingElse)], at: now, &output)
        case .goodbye:
            self.phase = .leaving
            self.say(
                [self.sentence(.goodbye)], then: .tool(name: "end_call", arguments: #"{"reason":"caller_goodbye"}"#),
                at: now, &output)
        case .no:
            // "No" to "Is there anything else?" is a farewell; without a question it is one too.
            self.act(on: .goodbye, at: now, &output)
        case .yes: self.say([self.sentence(.askChoice), self.choicesHint()], at: now, &output)
        case .help: self.say([self.choicesHint()] + self.keypadMenu(), at: now, &output)
        case .repeatLast:
            self.say(self.lastSaid.isEmpty ? [self.sentence(.askChoice)] : self.lastSaid, at: now, &output)
        case .leaveMessage:
            self.phase = .takingMessage
            self.say([self.sentence(.leaveMessage)], at: now, &output)
        }
    }

    mutating func transfer(to index: Int, at now: Duration, _ output: inout AssistantOutput) {
        let name: String = self.configuration.destinations[index].name
        self.phase = .leaving
        self.say(
            self.configuration.announcesTransfers ? [self.sentence(.transferring(name))] : [],
            then: .tool(name: "transfer_call", arguments: "{\"destination\":\(JSONText.quoted(name))}"), at: now,
            &output)
    }

    mutating func callOperator(at now: Duration, _ output: inout AssistantOutput) {
        if let index = self.configuration.operatorIndex {
            self.transfer(to: index, at: now, &output)
        } else {
            self.say([self.sentence(.noOperator), self.choicesHint()], at: now, &output)
        }
    }

    /// Nothing was understood: ask again, then the keypad, then a person. Never for ever.
    mutating func missed(at now: Duration, _ output: inout AssistantOutput) {
        self.misses += 1
        if self.misses <= self.configuration.reprompts {
            var sentences: [String] = [self.sentence(.notUnderstood)]
            if case .confirming(let intent) = self.phase, let name = self.confirmable(intent) {
                sentences = [self.sentence(.didYouSay(name))]
            } else if self.misses > 1 {
                sentences.append(self.choicesHint())
            }
            self.say(sentences, at: now, &output)
        } else if self.misses == self.configuration.reprompts + 1 || self.configuration.operatorIndex == nil {
            self.phase = .listening
            self.offerKeypad(at: now, &output)
        } else {
            self.callOperator(at: now, &output)
        }
    }

    mutating func toolAnswered(
        _ id: String, respond: Bool, at now: Duration, _ output: inout AssistantOutput
    ) {
        guard let name = self.pendingTools.removeValue(forKey: id) else { return }
        // Whatever came of it: a caller who is still here is listened to.
        self.phase = .listening
        guard respond else { return }
        // A transfer or an end that came about leaves nobody to speak to: to be asked for words means that it failed.
        let news: Sentence =
            switch name {
            case "transfer_call": .transferFailed
            case "take_message": .messageTaken
            default: .apology
            }
        self.say([self.sentence(news), self.sentence(.anythingElse)], at: now, &output)
    }

    // MARK: Keypad

    mutating func pressed(_ key: Character, at now: Duration, _ output: inout AssistantOutput) {
        if self.phase == .leaving { return }
        self.interruptForKey(&output)
        self.misses = 0
        self.understood = nil
        if self.phase == .takingMessage {
            if key == "#" {
                self.phase = .leaving
                self.call(tool: "take_message", arguments: #"{"kind":"recording"}"#, &output)
            }
            return
        }
        if case .confirming = self.phase, key == "1" || key == "2" {
            self.answer(.choice(key == "1" ? .yes : .no, confidence: 1), at: now, &output)
            return
        }
        self.phase = .listening
        switch key {
        case "0": self.callOperator(at: now, &output)
        case "*": self.offerKeypad(at: now, &output)
        case "#": self.act(on: .help, at: now, &output)
        default:
            if let digit = key.wholeNumberValue, (1...9).contains(digit),
                digit <= self.configuration.destinations.count
            {
                self.transfer(to: digit - 1, at: now, &output)
            } else {
                self.say([self.sentence(.wrongKey)] + self.keypadMenu(), at: now, &output)
            }
        }
    }

    /// A key stops what is being said; what the conversation holds unplayed it drops on `interrupted`.
    mutating func interruptForKey(_ output: inout AssistantOutput) {
        self.cancelReply(&output)
        output.event(.interrupted)
    }

    mutating func offerKeypad(at now: Duration, _ output: inout AssistantOutput) {
        let opening: Sentence = self.misses > 0 ? .notUnderstoodAgain : .keypadIntroduction
        self.say([self.sentence(opening)] + self.keypadMenu(), at: now, &output)
    }

    func keypadMenu() -> [String] {
        var menu: [String] = []
        for (index, destination) in self.configuration.destinations.prefix(9).enumerated() {
            guard let digit = String(index + 1).first else { continue }
            menu.append(self.sentence(.pressFor(digit: digit, name: destination.name)))
        }
        if self.configuration.operatorIndex != nil { menu.append(self.sentence(.pressForOperator)) }
        menu.append(self.sentence(.pressToRepeat))
        return menu
    }

    /// "You can say: sales, support or opening hours." Five names are as many as an ear keeps.
    func choicesHint() -> String {
        let names: [String] =
            self.configuration.destinations.prefix(3).map(\.name) + self.configuration.topics.prefix(2).map(\.name)
        return names.isEmpty ? self.sentence(.askChoice) : self.sentence(.youCanSay(names))
    }
}
