import Assistants
import Records
import Telephony

/// What is said in `pronto demo`, in one language: the assistant's knowledge, and the caller's sentences.
struct DemoScenario: Sendable {
    let language: SpokenLanguage
    let assistant: String
    let greeting: String
    /// For an assistant with a model; the local one has the topics.
    let instructions: String
    let topics: [Topic]
    let destinations: [(name: String, aliases: [String], number: String)]
    /// espeak-ng's, another than the agent's.
    let callerVoice: String

    // The caller's sentences, in the order of the call.
    let asksHours: String
    let asksParking: String
    let asksAddress: String
    /// Spoken over the answer to the one before.
    let interrupts: String
    let asksForSales: String
    let confirms: String

    /// All that the caller may say.
    var sentences: [String] {
        [self.asksHours, self.asksParking, self.asksAddress, self.interrupts, self.asksForSales, self.confirms]
    }

    /// Whether the agent asks back, as "Did you say sales?". The simulated caller reads it off the transcript: it
    /// understands no speech.
    func isQuestionBack(_ words: String) -> Bool {
        let names: [String] = self.destinations.map(\.name) + self.topics.map(\.name)
        return names.contains { words.contains(SentenceCatalogue.text(.didYouSay($0), in: self.language)) }
    }

    /// Whether the agent asks to say it again.
    func isNotUnderstood(_ words: String) -> Bool {
        let sentences: [Sentence] = [.notUnderstood, .notUnderstoodAgain]
        return sentences.contains { words.contains(SentenceCatalogue.text($0, in: self.language)) }
    }

    static func of(_ language: SpokenLanguage) -> DemoScenario {
        switch language {
        case .english: self.english
        case .italian: self.italian
        case .portuguese: self.portuguese
        }
    }

    /// What a model is told: the same facts that the local assistant has as topics.
    private static func instructions(_ role: String, _ topics: [Topic]) -> String {
        role + "\n" + topics.map { "\($0.name): \($0.answer)" }.joined(separator: "\n")
    }

    private static let english: DemoScenario = {
        let topics = [
            Topic(
                name: "opening hours", phrases: ["what are your opening hours", "when are you open"],
                answer: "We are open from Monday to Friday, from nine in the morning to six in the evening."),
            Topic(
                name: "parking", phrases: ["where can i park", "is there a car park"],
                answer: "Behind the building there is a car park for our customers. It is free for two hours."),
            Topic(
                name: "our address", phrases: ["address", "what is your address", "where are you"],
                answer: """
                    You find us at twelve Garden Street, in the old town. The entrance is on the left of the pharmacy. \
                    From the station it is ten minutes on foot, along the river and over the second bridge. \
                    By car, take the ring road to exit four, and turn right at the second traffic light.
                    """),
            Topic(
                name: "delivery", phrases: ["do you deliver", "how much is the delivery", "delivery costs"],
                answer: "Yes, we deliver in the whole country within two days. From fifty euros on it is free."),
        ]
        return DemoScenario(
            language: .english, assistant: "Reception",
            greeting: "Good morning, this is Pronto. How can I help you?",
            instructions: DemoScenario.instructions(
                "You answer the telephone of a shop. Be brief and friendly. What you know:", topics),
            topics: topics,
            destinations: [
                ("Sales", ["the sales department"], "200"), ("Support", ["technical support", "help desk"], "300"),
            ],
            callerVoice: "en-us+f3", asksHours: "What are your opening hours?", asksParking: "Where can I park?",
            asksAddress: "What is your address?",
            interrupts: "How much is the delivery?", asksForSales: "I would like to speak to sales, please.",
            confirms: "Yes, please.")
    }()

    private static let italian: DemoScenario = {
        let topics = [
            Topic(
                name: "gli orari di apertura", phrases: ["orari di apertura", "quali sono gli orari di apertura"],
                answer: "Siamo aperti dal lunedì al venerdì, dalle nove di mattina alle sei di sera."),
            Topic(
                name: "il parcheggio", phrases: ["parcheggio", "dove posso parcheggiare"],
                answer: "Dietro l'edificio c'è un parcheggio per i clienti. È gratis per due ore."),
            Topic(
                name: "il nostro indirizzo", phrases: ["indirizzo", "qual è il vostro indirizzo", "dove siete"],
                answer: """
                    Ci trova in via del Giardino dodici, nel centro storico. L'entrata è a sinistra della farmacia. \
                    Dalla stazione sono dieci minuti a piedi, lungo il fiume e oltre il secondo ponte. \
                    In macchina prenda la tangenziale fino all'uscita quattro, e giri a destra al secondo semaforo.
                    """),
            Topic(
                name: "le consegne", phrases: ["consegnate a domicilio", "quanto costa la consegna"],
                answer: "Sì, consegniamo in tutto il paese entro due giorni. Da cinquanta euro in su è gratis."),
        ]
        return DemoScenario(
            language: .italian, assistant: "Centralino", greeting: "Buongiorno, qui Pronto. Come posso aiutarla?",
            instructions: DemoScenario.instructions(
                "Rispondi al telefono di un negozio. Sii breve e gentile. Quello che sai:", topics),
            topics: topics,
            destinations: [
                ("vendite", ["ufficio vendite"], "200"), ("assistenza", ["assistenza tecnica"], "300"),
            ],
            callerVoice: "it+f2", asksHours: "Quali sono gli orari di apertura?",
            asksParking: "Dove posso parcheggiare?",
            asksAddress: "Qual è il vostro indirizzo?", interrupts: "Quanto costa la consegna?",
            asksForSales: "Vorrei parlare con ufficio vendite, per favore.", confirms: "Sì, grazie.")
    }()

    private static let portuguese: DemoScenario = {
        let topics = [
            Topic(
                name: "o horário de atendimento",
                phrases: ["horário de atendimento", "qual é o horário de atendimento", "que horas abre"],
                answer: "Atendemos de segunda a sexta, das nove da manhã às seis da tarde."),
            Topic(
                name: "o estacionamento", phrases: ["estacionamento", "onde posso estacionar"],
                answer: "Atrás do prédio há um estacionamento para os clientes. É grátis por duas horas."),
            Topic(
                name: "o nosso endereço", phrases: ["endereço", "qual é o endereço", "onde vocês ficam"],
                answer: """
                    Ficamos na rua do Jardim, número doze, no centro antigo. A entrada fica à esquerda da farmácia. \
                    Da estação são dez minutos a pé, ao longo do rio e depois da segunda ponte. \
                    De carro, siga o anel viário até a saída quatro, e vire à direita no segundo semáforo.
                    """),
            Topic(
                name: "as entregas", phrases: ["vocês entregam", "quanto custa a entrega"],
                answer: "Sim, entregamos no país inteiro em dois dias. A partir de cinquenta euros é grátis."),
        ]
        return DemoScenario(
            language: .portuguese, assistant: "Recepção", greeting: "Bom dia, aqui é o Pronto. Como posso ajudar?",
            instructions: DemoScenario.instructions(
                "Você atende o telefone de uma loja. Seja breve e simpático. O que você sabe:", topics),
            topics: topics,
            destinations: [("vendas", ["setor de vendas"], "200"), ("suporte", ["suporte técnico"], "300")],
            callerVoice: "pt-br+f2", asksHours: "Qual é o horário de atendimento?",
            asksParking: "Onde posso estacionar?", asksAddress: "Onde vocês ficam?",
            interrupts: "Quanto custa a entrega?", asksForSales: "Quero falar com setor de vendas, por favor.",
            confirms: "Sim, por favor.")
    }()
}
