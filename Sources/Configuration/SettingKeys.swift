/// `AUDIO_MODE`: how a call brings its audio, where it does not say.
package enum AudioMode: String, Sendable, CaseIterable { case websocket, rtp, esl, dual }

/// What the routing question of a dialplan is answered with.
package enum AIRouting: String, Sendable, CaseIterable { case ai, human }

/// What of a dialed number the activity log keeps.
package enum ActivityNumbers: String, Sendable, CaseIterable { case full, masked, none }

package enum LogLevel: String, Sendable, CaseIterable { case trace, debug, info, notice, warning, error }
package enum LogFormat: String, Sendable, CaseIterable { case text, json }

/// Who hears where the caller speaks, when turns are ours.
package enum VoiceDetection: String, Sendable, CaseIterable { case auto, silero, energy, off }

/// The WebSocket dialects that a leg can be stated to speak (docs/dialects.md).
package enum PhoneDialect: String, Sendable, CaseIterable {
    case modAudioStream = "mod-audio-stream"
    case modAudioStreamFork = "mod-audio-stream-fork"
    case binaryDown = "binary-down"
    case drachtioFork = "mod-audio-fork-drachtio"
    case jambonzFork = "mod-audio-fork-jambonz"
}

/// How one sample is written on a leg.
package enum PhoneEncoding: String, Sendable, CaseIterable { case l16, pcmu, pcma }

/// How a module with playback by message wants its audio.
package enum PhoneDownlink: String, Sendable, CaseIterable { case binary, streamAudio = "stream-audio" }

/// How PostgreSQL is spoken to: libpq's sslmode.
package enum DatabaseTLS: String, Sendable, CaseIterable {
    case disable, allow, prefer, require
    case verifyCA = "verify-ca"
    case verifyFull = "verify-full"
}

/// What of an ElevenLabs agent a call replaces.
package enum ElevenLabsOverride: String, Sendable, CaseIterable {
    case prompt, language, voice, variables
    case firstMessage = "first_message"
}

/// Where OpenAI's protocol is spoken.
package enum OpenAIService: String, Sendable, CaseIterable { case openai, azure, azureLegacy = "azure-legacy" }

/// The shape of OpenAI's Realtime protocol: the present one, or the older one of Azure's legacy path and of some
/// compatible servers.
package enum OpenAIShape: String, Sendable, CaseIterable { case ga, beta }

/// Who serves the stages of the speech pipeline.
package enum PipelineRecogniserName: String, Sendable, CaseIterable { case deepgram, flux = "deepgram-flux", sherpa }
package enum BatchRecogniserName: String, Sendable, CaseIterable {
    case deepgram = "deepgram-batch", openai, groq, sherpa
}
package enum PipelineWriterName: String, Sendable, CaseIterable { case groq, openai, anthropic, compatible }
package enum PipelineSpeakerName: String, Sendable, CaseIterable {
    case deepgram, openai, elevenlabs, local, piper, sherpa
}

/// Who of this machine speaks.
package enum LocalVoiceName: String, Sendable, CaseIterable { case espeak, piper, sherpa }

/// Every setting, in the order of the page. Reached through `Settings`, as `settings.mediaPort`.
package struct SettingKeys: Sendable {
    // The phone's side.
    package let audioMode = Setting<AudioMode>.choice(
        "AUDIO_MODE", default: .websocket,
        "How calls bring their audio, where they do not say: websocket = a media module; esl = FreeSWITCH's raw datagrams "
            + "(unicast) under the outbound Event Socket; rtp = SIP and RTP; dual = a media module, controlled by the "
            + "outbound Event Socket.")
    package let mediaHost = Setting<String>.host(
        "REALTIME_HOST", default: "127.0.0.1",
        "Address of the media listener. Loopback by default: who may speak to it is decided by PRONTO_ALLOWED_PEERS.")
    package let mediaPort = Setting<Int>.port(
        "REALTIME_PORT", default: 8085, "Port of the media listener (WebSocket). 0: any free port.")
    package let dialect = Setting<PhoneDialect>.choice(
        "PRONTO_DIALECT", default: .modAudioStreamFork,
        "The WebSocket dialect of legs whose address and subprotocol do not say: the module that FreeSWITCH has.")
    package let phoneEncoding = Setting<PhoneEncoding>.choice(
        "PRONTO_PHONE_ENCODING", default: .l16, "What legs send, where their address does not say.")
    package let phoneRate = Setting<Int>.integer(
        "PRONTO_PHONE_RATE", 8000...48000, unit: "Hz", default: 8000,
        "At which rate legs send, where their address does not say (l16 only; G.711 has 8000).")
    package let phoneDownlink = Setting<PhoneDownlink>.choice(
        "PRONTO_PHONE_DOWNLINK", default: .binary,
        "How binary-down builds take audio: binary messages, or streamAudio JSON that they play at once.")
    package let phoneFlush = Setting<String?>.optionalText(
        "PRONTO_PHONE_FLUSH", longest: 1024,
        "The text that empties the buffer of a binary-down build. Unset: it has none, and interruptions end late.")
    package let phoneWarmUp = Setting<Duration>.milliseconds(
        "STREAM_PLAYBACK_WARMUP_MS", 20...1500, default: 400,
        "What the fork's module buffers before it plays; as the dialplan sets the channel variable of that name.")
    package let allowedPeers = Setting<[AddressRange]>.list(
        "PRONTO_ALLOWED_PEERS", of: "addresses and CIDR ranges with commas between them",
        default: "127.0.0.0/8,::1", value: ["127.0.0.0/8", "::1"].compactMap { AddressRange($0) },
        "Peers whose address alone counts as authentication on the media listener.", parse: { AddressRange($0) })
    package let proxyHost = Setting<String>.host(
        "PRONTO_PROXY_HOST", default: "127.0.0.1", "Address of the listener for peers behind a proxy.")
    package let proxyPort = Setting<Int?>.optionalPort(
        "PRONTO_PROXY_PORT",
        "Port of the listener for peers behind a proxy, where every connection needs a stream token. Unset: none.")
    package let tokenKeys = Setting<String?>.optionalText(
        "PRONTO_TOKEN_KEYS", longest: 4096,
        "Keys of stream tokens: id:base64, of 16 to 64 bytes each, with commas between them. The first signs, all verify."
    ).secret
    package let isDevelopment = Setting<Bool>.switched(
        "PRONTO_DEVELOPMENT", default: false,
        "Accept media connections without any authentication. For a developer's machine only.")
    package let certificate = Setting<String?>.optionalPath(
        "PRONTO_TLS_CERTIFICATE", "PEM file with the certificate chain of the listeners. Unset: no TLS.")
    package let privateKey = Setting<String?>.optionalPath(
        "PRONTO_TLS_KEY", "PEM file with the private key of PRONTO_TLS_CERTIFICATE.")
    package let loops = Setting<Int>.integer(
        "PRONTO_LOOPS", 0...64, default: 0, "Event loops, each with a thread of its own. 0: one for each core.")
    package let sessionsPerTenant = Setting<Int>.integer(
        "MAX_SESSIONS_PER_DOMAIN", 1...100_000, unit: "calls", default: 100,
        "The most calls of one tenant at a time; the next is refused.")
    package let drain = Setting<Duration>.seconds(
        "PRONTO_DRAIN_SECONDS", 0...3600, default: 30,
        "After a request to stop: how long live calls may go on before they are handed to their fallback.")
    package let drainNotice = Setting<Duration>.seconds(
        "PRONTO_DRAIN_NOTICE_SECONDS", 0...60, default: 0,
        "Before that: how long new calls are still taken while /health says 503, so that a balancer sends them elsewhere."
    )

    // FreeSWITCH's Event Socket.
    package let switchHost = Setting<String>.host(
        "ESL_HOST", default: "127.0.0.1", "Address of FreeSWITCH's Event Socket (mod_event_socket).")
    package let switchPort = Setting<Int>.port("ESL_PORT", default: 8021, "Port of FreeSWITCH's Event Socket.")
    package let switchPassword = Setting<String?>.optionalText(
        "ESL_PASSWORD",
        "Password of the Event Socket. Unset: no call control; hand-over and hang-up are left to the dialplan."
    ).secret
    package let switchConnectTimeout = Setting<Duration>.seconds(
        "ESL_CONNECT_TIMEOUT", 0.1...60, default: 5, "How long a connection to the Event Socket may take.")
    package let switchReplyTimeout = Setting<Duration>.seconds(
        "ESL_API_TIMEOUT", 0.1...60, default: 5, "How long a reply to a command may take.")
    package let switchReadTimeout = Setting<Duration>.seconds(
        "ESL_READ_TIMEOUT", 1...600, default: 30,
        "How long an answer that is due may be missing with no byte coming at all, before the connection is given up.")
    package let switchReconnectDelay = Setting<Duration>.seconds(
        "ESL_RECONNECT_DELAY", 0.1...60, default: 2,
        "The first pause before connecting again; it doubles up to half a minute, spread by a quarter either way.")
    package let switchAttempts = Setting<Int>.integer(
        "ESL_MAX_RECONNECT_ATTEMPTS", 1...1000, unit: "attempts", default: 3,
        "So many failures in a row and the Event Socket is reported down; attempts go on for ever.")
    package let needsSwitch = Setting<Bool>.switched(
        "PRONTO_ESL_REQUIRED", default: true,
        "While its tenant's Event Socket is down, a new call is refused (503), so that the dialplan's fallback serves it."
    )

    // FreeSWITCH calls us: the dialplan's `socket` application.
    package let socketHost = Setting<String>.host(
        "ESL_SERVER_HOST", default: "127.0.0.1", "Address of the listener for the dialplan's `socket` application.")
    package let socketPort = Setting<Int?>.optionalPort(
        "ESL_SERVER_PORT",
        "Port of that listener. Unset: 8022 when AUDIO_MODE is esl, rtp or dual, none otherwise. 0: any free port.")
    package let socketPeers = Setting<[AddressRange]>.list(
        "ESL_ALLOWED_PEERS", of: "addresses and CIDR ranges with commas between them",
        default: "127.0.0.0/8,::1", value: ["127.0.0.0/8", "::1"].compactMap { AddressRange($0) },
        "Switches that may bring calls by `socket`: there is no other authentication on that wire.",
        parse: { AddressRange($0) })
    package let socketConnections = Setting<Int>.integer(
        "ESL_MAX_CONNECTIONS", 1...100_000, unit: "connections", default: 100,
        "The most calls at a time that come by `socket`; the next one's dialplan goes on to its fallback.")
    package let matchTimeout = Setting<Duration>.seconds(
        "PRONTO_MATCH_SECONDS", 1...60, default: 5,
        "How long the second half of a call (its audio in AUDIO_MODE dual and rtp) may come after the first.")
    package let deadMansSwitch = Setting<Int>.integer(
        "PRONTO_DEAD_MAN_SECONDS", 0...60, unit: "s", default: 4,
        "After this long without a word from us FreeSWITCH sends the caller to the fallback, where the dialplan's "
            + "pronto_fuse says - in place of seconds. 0: never.")
    package let ringTime = Setting<Duration>.seconds(
        "TRANSFER_DEFAULT_TIMEOUT", 0...300, default: 30,
        "How long a transfer rings before the caller comes back to the assistant, where its destination does not say "
            + "(--ring-seconds). 0: no transfer comes back; the destination's dialplan decides."
    )
    package let streamURL = Setting<String?>.optionalText(
        "PRONTO_STREAM_URL",
        "Where mod_audio_stream finds the media port in AUDIO_MODE=dual, as ws://host:port. Unset: as REALTIME_HOST and REALTIME_PORT say."
    )

    // Datagrams.
    package let datagramHost = Setting<String>.host(
        "RTP_BIND_ADDRESS", default: "127.0.0.1",
        "Address of our ends of RTP: an IP address of this machine. With 0.0.0.0 or :: the switch is told PRONTO_SIP_HOST's."
    )
    package let datagramFirst = Setting<Int>.integer(
        "RTP_PORT_MIN", 1024...65535, default: 10000, "First UDP port of our ends of RTP and unicast.")
    package let datagramLast = Setting<Int>.integer(
        "RTP_PORT_MAX", 1024...65535, default: 10100,
        "Last of them. A call takes two: the default is for some 50 calls, the start says how many the range holds.")
    package let unicastHost = Setting<String>.host(
        "UNICAST_ADDRESS", default: "127.0.0.1",
        "Address of both ends of unicast. That wire has no authentication: beyond loopback PRONTO_UNICAST_ANYWHERE is needed."
    )
    package let isUnicastAnywhere = Setting<Bool>.switched(
        "PRONTO_UNICAST_ANYWHERE", default: false,
        "Allow UNICAST_ADDRESS to be no loopback address. Anybody who reaches those ports is heard by the caller.")
    package let unicastFirst = Setting<Int>.integer(
        "UNICAST_PORT_MIN", 1024...65535, default: 11000, "First UDP port of FreeSWITCH's ends of unicast.")
    package let unicastLast = Setting<Int>.integer(
        "UNICAST_PORT_MAX", 1024...65535, default: 11999, "Last of them. A call takes one.")

    package let jitterMinimum = Setting<Int?>.optionalInteger(
        "RTP_JITTER_MIN_MS", 0...500, unit: "ms", "The least that RTP is delayed to put it in order. Unset: 20.")
    package let jitterMaximum = Setting<Int?>.optionalInteger(
        "RTP_JITTER_MAX_MS", 0...500, unit: "ms", "The most. Unset: 200.")
    package let jitterTarget = Setting<Int?>.optionalInteger(
        "RTP_JITTER_TARGET_MS", 0...500, unit: "ms", "The delay until the network is known. Unset: 40.")

    // SIP.
    package let sipHost = Setting<String>.host(
        "PRONTO_SIP_HOST", default: "127.0.0.1",
        "Address of the SIP listener; it is written into answers, so never 0.0.0.0.")
    package let sipPort = Setting<Int?>.optionalPort(
        "PRONTO_SIP_PORT",
        "Port of the SIP listener, UDP and TCP. Unset: 5090 when AUDIO_MODE is rtp, none otherwise. 0: any free port.")
    package let sipTLSPort = Setting<Int?>.optionalPort(
        "PRONTO_SIP_TLS_PORT", "Port of SIP over TLS, with PRONTO_TLS_CERTIFICATE and PRONTO_TLS_KEY. Unset: none.")
    package let sipPeers = Setting<[String]>.list(
        "PRONTO_SIP_ALLOWED_PEERS", of: "addresses and CIDR ranges with commas between them",
        default: "127.0.0.0/8,::1", value: ["127.0.0.0/8", "::1"],
        "Who may speak SIP to us: the address counts as authentication.", parse: { AddressRange($0) == nil ? nil : $0 })
    package let sipProfile = Setting<String>.text(
        "PRONTO_SIP_PROFILE", default: "internal",
        "FreeSWITCH's profile through which a call on ESL_SERVER_PORT is bridged to our SIP port in AUDIO_MODE=rtp.")

    // The assistants.
    package let openAIKey = Setting<String?>.optionalText(
        "OPENAI_API_KEY", longest: 1024,
        "OpenAI's key, for tenants that have no key of their own. Unset: only tenants with their own key use OpenAI."
    ).secret
    package let openAIBaseURL = Setting<String>.url(
        "OPENAI_BASE_URL", default: "https://api.openai.com/v1",
        "Where OpenAI's protocol is spoken: OpenAI, Azure, a compatible server or the simulator.")
    package let openAIService = Setting<OpenAIService>.choice(
        "PRONTO_OPENAI_SERVICE", default: .openai,
        "How the address is built and the key sent: openai (and compatible servers), azure, or azure-legacy.")
    package let azureVersion = Setting<String>.text(
        "PRONTO_AZURE_API_VERSION", default: "2024-10-01-preview", "The api-version of Azure's legacy path.")
    package let openAIShape = Setting<OpenAIShape?>.optionalChoice(
        "PRONTO_OPENAI_SHAPE",
        "The protocol's shape: ga, or beta for older compatible servers. Unset: as the service has it.")
    package let openAIModel = Setting<String>.text(
        "OPENAI_REALTIME_MODEL", default: "gpt-realtime-2.1", "The model, where an assistant names none.")
    package let openAIVoice = Setting<String>.text(
        "OPENAI_REALTIME_VOICE", default: "marin", "The voice, where an assistant names none.")
    package let elevenLabsKey = Setting<String?>.optionalText(
        "ELEVENLABS_API_KEY", longest: 1024,
        "ElevenLabs' key, for tenants that have no key of their own. Unset: only public agents are reached."
    ).secret
    package let elevenLabsAgent = Setting<String?>.optionalText(
        "ELEVENLABS_AGENT_ID", "The agent, where an assistant names none (as its model).")
    package let elevenLabsVoice = Setting<String?>.optionalText(
        "ELEVENLABS_VOICE_ID",
        "The voice, where an assistant names none. Of agents it is used only with `voice` in ELEVENLABS_OVERRIDES.")
    package let elevenLabsBaseURL = Setting<String>.url(
        "ELEVENLABS_BASE_URL", default: "https://api.elevenlabs.io",
        "Where ElevenLabs' protocol is spoken: a region of ElevenLabs, a proxy or the simulator.")
    package let elevenLabsOverrides = Setting<[ElevenLabsOverride]>.list(
        "ELEVENLABS_OVERRIDES", of: "prompt, first_message, language, voice, variables", default: nil, value: [],
        "What of the agent a call replaces by the assistant's own. The agent must allow each, or it refuses the call.",
        parse: { ElevenLabsOverride(rawValue: $0) })
    package let googleKey = Setting<String?>.optionalText(
        "GOOGLE_API_KEY", longest: 1024,
        "Google's key, for tenants that have no key of their own. Unset: only tenants with their own key use Gemini."
    ).secret
    package let geminiBaseURL = Setting<String>.url(
        "GEMINI_BASE_URL", default: "https://generativelanguage.googleapis.com",
        "Where Gemini Live is spoken: Google, a proxy or the simulator.")
    package let geminiVersion = Setting<String>.text(
        "GEMINI_API_VERSION", default: "v1", "The API's version in the address: v1, v1beta or v1alpha.")
    package let geminiModel = Setting<String>.text(
        "GEMINI_MODEL", default: "gemini-3.8-live", "The model, where an assistant names none.")
    package let geminiVoice = Setting<String?>.optionalText(
        "GEMINI_VOICE", "The prebuilt voice, where an assistant names none. Unset: the model's own.")
    package let fallbackProviders = Setting<[String]>.list(
        "REALTIME_FALLBACK_PROVIDERS", of: "openai, elevenlabs, gemini, pipeline, turn-based, local", default: "local",
        value: ["local"], "Back ends that are tried after an assistant's own ones, in this order.",
        parse: {
            ["openai", "elevenlabs", "gemini", "pipeline", "turn-based", "local"].contains($0) ? $0 : nil
        })
    package let breakerFailures = Setting<Int>.integer(
        "PRONTO_BREAKER_FAILURES", 1...100, unit: "failures", default: 5,
        "So many failures of a back end in a row, for one tenant, and calls pass it over.")
    package let breakerPause = Setting<Duration>.seconds(
        "PRONTO_BREAKER_PAUSE_SECONDS", 1...3600, default: 30,
        "So long until one call tries that back end again; twice as long after each failure, up to five minutes.")
    package let deepgramKey = Setting<String?>.optionalText(
        "DEEPGRAM_API_KEY", longest: 1024, "Deepgram's key, for the pipeline's recognition and speech."
    ).secret
    package let deepgramBaseURL = Setting<String>.url(
        "DEEPGRAM_BASE_URL", default: "https://api.deepgram.com", "Where Deepgram's protocols are spoken.")
    package let groqKey = Setting<String?>.optionalText(
        "GROQ_API_KEY", longest: 1024, "Groq's key, for the pipeline's text model and transcription."
    ).secret
    package let groqBaseURL = Setting<String>.url(
        "GROQ_BASE_URL", default: "https://api.groq.com/openai/v1", "Where Groq is reached.")
    package let anthropicKey = Setting<String?>.optionalText(
        "ANTHROPIC_API_KEY", longest: 1024, "Anthropic's key, for the pipeline's text model."
    ).secret
    package let anthropicBaseURL = Setting<String>.url(
        "ANTHROPIC_BASE_URL", default: "https://api.anthropic.com", "Where Anthropic's messages are spoken.")
    package let pipelineRecogniser = Setting<PipelineRecogniserName>.choice(
        "PRONTO_PIPELINE_STT", default: .deepgram,
        "Who writes down what the caller says: deepgram (Nova); deepgram-flux, which also decides the turns; or sherpa, "
            + "this machine by PRONTO_SHERPA_STT.")
    package let pipelineRecogniserModel = Setting<String?>.optionalText(
        "PRONTO_PIPELINE_STT_MODEL", longest: 128, "Its model. Unset: nova-3, or flux-general-multi.")
    package let pipelineWriter = Setting<PipelineWriterName>.choice(
        "PRONTO_PIPELINE_LLM", default: .groq,
        "Who thinks of the answer; compatible = Ollama, vLLM, llama.cpp at PRONTO_PIPELINE_LLM_URL.")
    package let pipelineWriterModel = Setting<String?>.optionalText(
        "PRONTO_PIPELINE_LLM_MODEL", longest: 128,
        "Its model, where an assistant names none. Unset: the service's; a compatible server has none.")
    package let pipelineWriterURL = Setting<String>.url(
        "PRONTO_PIPELINE_LLM_URL", default: "http://127.0.0.1:11434/v1",
        "Where the compatible server's chat completions are.")
    package let pipelineWriterKey = Setting<String?>.optionalText(
        "PRONTO_PIPELINE_LLM_KEY", longest: 1024, "The compatible server's key, if it wants one."
    ).secret
    package let pipelineSpeaker = Setting<PipelineSpeakerName>.choice(
        "PRONTO_PIPELINE_TTS", default: .deepgram,
        "Who speaks the answer: a service; piper or sherpa, this machine by voice files; local = as PRONTO_LOCAL_VOICE."
    )
    package let pipelineSpeakerModel = Setting<String?>.optionalText(
        "PRONTO_PIPELINE_TTS_MODEL", longest: 128, "Its model. Unset: the service's.")
    package let pipelineVoice = Setting<String?>.optionalText(
        "PRONTO_PIPELINE_TTS_VOICE", longest: 128,
        "Its voice, where an assistant names none. Unset: the service's, or the first file of the caller's language.")
    package let turnBasedRecogniser = Setting<BatchRecogniserName>.choice(
        "PRONTO_TURN_BASED_STT", default: .deepgram,
        "Who transcribes recordings, for assistants whose processing_mode is turn_based or auto.")
    package let localVoice = Setting<LocalVoiceName>.choice(
        "PRONTO_LOCAL_VOICE", default: .espeak,
        "Who speaks for the local assistant and the house. espeak stands in where a voice file cannot.")
    package let piperProgram = Setting<String?>.optionalPath(
        "PIPER_BINARY",
        "The piper program. Needed by PIPER_VOICE; scripts/install --with-piper makes .deps/piper/bin/piper.")
    package let piperVoices = Setting<[String]>.paths(
        "PIPER_VOICE",
        "Piper's voices: files NAME.onnx with NAME.onnx.json beside them, or folders of them. An assistant's voice is NAME, "
            + "or NAME#SPEAKER; without one the first of the caller's language speaks.")
    package let piperProcesses = Setting<Int>.integer(
        "PIPER_PROCESSES", 1...64, unit: "processes", default: 2,
        "The most that speak at a time. Each holds its voice in memory, some 200 MB.")
    package let sherpaVoices = Setting<[String]>.paths(
        "PRONTO_SHERPA_VOICE", "The same files, spoken by sherpa-onnx in place of Piper's program.")
    package let sherpaRecogniser = Setting<String?>.optionalPath(
        "PRONTO_SHERPA_STT",
        "The folder of a recognition model for sherpa-onnx: Moonshine, Whisper, a transducer or SenseVoice.")
    package let sherpaLanguages = Setting<[String]>.list(
        "PRONTO_SHERPA_STT_LANGUAGES", of: "language tags with commas between them, as it,en", default: nil, value: [],
        "What that model understands; calls in other languages go to the next back end. Unset: what its folder's name says "
            + "(tiny-en), any where it says nothing.",
        parse: { (2...8).contains($0.count) && $0.allSatisfy { $0.isASCII && ($0.isLetter || $0 == "-") } ? $0 : nil })
    package let localThreads = Setting<Int>.integer(
        "PRONTO_SHERPA_THREADS", 1...64, unit: "threads", default: 2,
        "The most clauses, and the most talkspurts, that sherpa-onnx works on at a time.")
    package let caFile = Setting<String?>.optionalPath(
        "PRONTO_CA_FILE", "PEM file with authorities that are trusted besides the system's, towards providers.")

    package let pricesFile = Setting<String?>.optionalPath(
        "PRONTO_PRICES_FILE",
        "JSON file with what providers ask for, in place of the built-in table of list prices "
            + "(database/prices.json); for costs in records and `pronto costs`.")

    // Turns.
    package let vadThreshold = Setting<Double>.decimal(
        "REALTIME_VAD_THRESHOLD", 0...1, default: 0.5,
        "Probability from which sound counts as speech, where an assistant names none.")
    package let silence = Setting<Duration>.milliseconds(
        "REALTIME_SILENCE_MS", 100...5000, default: 500, "Silence that ends a caller's turn.")
    package let prefixPadding = Setting<Duration>.milliseconds(
        "REALTIME_PREFIX_PADDING_MS", 0...2000, default: 300, "Audio kept from before the detected start of speech.")
    package let maximumOutputTokens = Setting<Int>.integer(
        "REALTIME_MAX_OUTPUT_TOKENS", 1...4096, unit: "tokens", default: 4096, "The longest answer.")
    package let bargeIn = Setting<Bool>.switched(
        "REALTIME_BARGE_IN", default: true, "Whether a caller may interrupt, where an assistant does not say.")
    package let bargeInConfirmation = Setting<Duration>.milliseconds(
        "PRONTO_BARGE_IN_CONFIRM_MS", 0...2000, default: 300,
        "How long a paused agent waits for the interruption to prove itself before it resumes. 0: final at once.")
    package let firstAudioDeadline = Setting<Duration>.milliseconds(
        "PRONTO_FIRST_AUDIO_DEADLINE_MS", 500...30000, default: 4000,
        "From the caller's last word to the agent's first: beyond it the caller hears a filler, then the next back end."
    )
    package let voiceDetection = Setting<VoiceDetection>.choice(
        "PRONTO_VAD", default: .auto,
        "Who hears where the caller speaks, when turns are ours: auto = Silero where PRONTO_SILERO_MODEL is set and this "
            + "build has it, the energy gate otherwise; off = nobody here (Deepgram hears by itself, the local assistant "
            + "has its keypad).")
    package let sileroModel = Setting<String?>.optionalPath(
        "PRONTO_SILERO_MODEL", "The file silero_vad.onnx or silero_vad_16k_op15.onnx. Needed by PRONTO_VAD=silero.")
    package let idleTimeout = Setting<Duration>.seconds(
        "SESSION_IDLE_TIMEOUT_SECONDS", 5...3600, default: 30,
        "Nobody speaks for this long: the call ends. For assistants whose no-input prompts are off (no_input of the API, "
            + "silence_fallback_enabled), where they do not say.")
    package let maximumDuration = Setting<Duration>.seconds(
        "SESSION_MAX_DURATION_SECONDS", 10...86400, default: 600,
        "The longest conversation. An assistant may have a shorter one, never a longer one.")

    // What is kept.
    package let database = Setting<String>.path(
        "PRONTO_DATABASE", default: "pronto.db",
        "The SQLite file. Beside it, PRONTO_DATABASE.spool keeps calls that the database could not take.")
    package let databaseHost = Setting<String?>.optionalText(
        "DB_HOST",
        "The PostgreSQL server: a name, an address, or the folder of its socket; several with commas between them. Set, or DB_NAME "
            + "set: records are kept there, not in PRONTO_DATABASE.")
    package let databasePort = Setting<Int>.port("DB_PORT", default: 5432, "Its port.")
    package let databaseName = Setting<String?>.optionalText(
        "DB_NAME", "The database. Unset, with DB_HOST set: fusionpbx.")
    package let databaseUser = Setting<String>.text("DB_USER", default: "fusionpbx", "The user to log in as.")
    package let databasePassword = Setting<String?>.optionalText("DB_PASS", longest: 1024, "The user's password.")
        .secret
    package let databaseTLS = Setting<DatabaseTLS>.choice(
        "PRONTO_DB_SSLMODE", default: .prefer,
        "Whether the connection is encrypted and the server checked, in libpq's words.")
    package let databaseAuthorities = Setting<String?>.optionalPath(
        "PRONTO_DB_SSLROOTCERT", "The certificates that the server's must come from, for verify-ca and verify-full.")
    package let databasePool = Setting<Int>.integer(
        "PRONTO_DB_POOL", 1...64, unit: "connections", default: 4, "Connections to PostgreSQL at once.")
    package let databaseTime = Setting<Duration>.seconds(
        "PRONTO_DB_TIMEOUT", 1...60, default: 5,
        "What a question to PostgreSQL may take; then it is given up, and a finished call goes to the spool.")
    package let databaseMigrates = Setting<Bool>.switched(
        "PRONTO_DB_MIGRATE", default: false,
        "Whether the gateway brings PostgreSQL's tables up to date itself at its start. Otherwise: pronto migrate up.")
    package let configurationAge = Setting<Duration>.seconds(
        "PRONTO_CONFIGURATION_AGE", 0...31_536_000, default: 86400,
        "For how long, while the database is away, new calls are answered by the configuration last known; then they are refused "
            + "and reach their fallback. With PostgreSQL a restart meanwhile begins with PRONTO_DATABASE.configuration. 0: for ever."
    )
    package let secretKey = Setting<String?>.optionalText(
        "PRONTO_SECRET_KEY", longest: 4096,
        "Keys that secrets are encrypted with at rest: [id:]base64 of 32 bytes, with commas between them; the first encrypts."
    ).secret
    package let secretKeyFile = Setting<String?>.optionalPath(
        "PRONTO_SECRET_KEY_FILE", "A file with the text of PRONTO_SECRET_KEY, in its place.")
    package let recording = Setting<Bool>.switched(
        "PRONTO_RECORDING", default: false, "Whether calls are recorded, where an assistant does not say.")
    package let recordings = Setting<String>.path(
        "PRONTO_RECORDINGS", default: "recordings", "The folder of recordings.")
    package let keepConversations = Setting<Int>.integer(
        "PRONTO_KEEP_CONVERSATIONS", 0...36_500, unit: "days", default: 0,
        "How long conversations are kept, where a tenant does not say. 0: until somebody deletes them.")
    package let keepRecordings = Setting<Int>.integer(
        "PRONTO_KEEP_RECORDINGS", 0...36_500, unit: "days", default: 0,
        "How long recordings are kept, where a tenant does not say. 0: until somebody deletes them.")
    package let keepCalls = Setting<Int>.integer(
        "PRONTO_KEEP_CDR", 0...36_500, unit: "days", default: 0,
        "How long call records are kept, where a tenant does not say. 0: until somebody deletes them.")
    package let keepActivity = Setting<Int>.integer(
        "PRONTO_KEEP_ACTIVITY", 0...36_500, unit: "days", default: 0,
        "How long routing decisions are kept, where a tenant does not say. 0: until somebody deletes them.")

    // Several nodes as one system.
    package let redisHost = Setting<String?>.optionalHost(
        "REDIS_HOST", "Redis, which makes several nodes one system (docs/several-nodes.md). Unset: this node is alone.")
    package let redisPort = Setting<Int>.integer("REDIS_PORT", 1...65535, default: 6379, "Its port.")
    package let redisUser = Setting<String?>.optionalText(
        "REDIS_USER", "The user of its ACL. Unset: REDIS_PASSWORD is the default user's.")
    package let redisPassword = Setting<String?>.optionalText(
        "REDIS_PASSWORD", longest: 1024, "Its password. Unset: it wants none."
    ).secret
    package let redisDatabase = Setting<Int>.integer("REDIS_DB", 0...1023, default: 0, "The number of its database.")
    package let redisTLS = Setting<Bool>.switched(
        "REDIS_TLS", default: false,
        "Whether it is spoken to by TLS. Its certificate has to be for REDIS_HOST, from the system's or PRONTO_CA_FILE's authorities."
    )
    package let redisPrefix = Setting<String>.slug(
        "PRONTO_REDIS_PREFIX", default: "pronto",
        "The beginning of every key and channel: nodes with the same one are one installation.")
    package let redisDeadline = Setting<Duration>.milliseconds(
        "PRONTO_REDIS_DEADLINE_MS", 5...1000, default: 50,
        "How long a new call waits for what the other nodes say; beyond it this node decides alone.")
    package let nodeName = Setting<String?>.optionalSlug(
        "PRONTO_NODE_NAME", "What this node is called in logs and consoles. Unset: the name of the host.")

    // Seen while running.
    package let adminHost = Setting<String>.host(
        "PRONTO_ADMIN_HOST", default: "127.0.0.1", "Address of the listener for health, metrics and the API.")
    package let adminPort = Setting<Int>.port(
        "HEALTH_PORT", default: 8100, "Port of the listener for health, metrics and the API. 0: any free port.")
    package let adminTLSPort = Setting<Int?>.optionalPort(
        "PRONTO_ADMIN_TLS_PORT",
        "Port of a second listener for the same over TLS, with PRONTO_TLS_CERTIFICATE and its key. Unset: none.")
    package let adminTLSHost = Setting<String>.host(
        "PRONTO_ADMIN_TLS_HOST", default: "127.0.0.1",
        "Address of that listener. The other one may stay on loopback, for the switch and for a proxy.")
    package let serviceToken = Setting<String?>.optionalText(
        "VOICE_AI_SERVICE_TOKEN", longest: 1024,
        "What callers of /api/v1 that are not in PRONTO_ALLOWED_PEERS send as Authorization: Bearer. Unset: nobody else."
    )
    .secret
    package let jwtKeysFile = Setting<String?>.optionalPath(
        "PRONTO_JWT_KEYS_FILE",
        "A JSON Web Key Set (RFC 7517) whose keys sign and verify signed tokens; `pronto token new-jwk` makes one. Read again "
            + "with the configuration. Unset: only tenants' own keys, from the store, verify.")
    package let jwtAudience = Setting<String>.text(
        "PRONTO_JWT_AUDIENCE", default: "pronto",
        "What signed tokens must name as audience, and who signs ours.")
    package let apiRate = Setting<Int>.integer(
        "PRONTO_API_RATE", 1...1_000_000, unit: "requests a minute", default: 1200,
        "What one token, key or address may ask of the API; a sixth of it at once.")
    package let apiTenantRate = Setting<Int>.integer(
        "PRONTO_API_TENANT_RATE", 1...10_000_000, unit: "requests a minute", default: 6000,
        "What one tenant may ask of the API with all its tokens, where it has no limit of its own.")
    package let tenantPrivateHosts = Setting<Bool>.switched(
        "PRONTO_TENANT_PRIVATE_HOSTS", default: false,
        "Whether the base_url of a tenant's account may lead to loopback, link-local and private addresses.")
    package let metricsPeers = Setting<[AddressRange]>.list(
        "PRONTO_METRICS_PEERS", of: "addresses and CIDR ranges with commas between them",
        default: "127.0.0.0/8,::1", value: ["127.0.0.0/8", "::1"].compactMap { AddressRange($0) },
        "Peers that see /metrics without a token of the installation, unless a proxy was between.",
        parse: { AddressRange($0) })
    package let apiAudio = Setting<String?>.optionalPath(
        "PRONTO_API_AUDIO", "The folder of /api/v1's audio_file. Unset: audio travels as base64 only.")
    package let aiRouting = Setting<AIRouting?>.optionalChoice(
        "PRONTO_AI_ROUTING",
        "What the routing question is answered with while no trunk has settings (pronto trunk): ai, or human. Unset: human."
    )
    package let aiRoutingFailover = Setting<String>.text(
        "PRONTO_AI_ROUTING_FAILOVER", default: "2000",
        "The extension that it names for callers whom the AI does not serve, where neither trunk nor tenant names one.")
    package let aiRoutingStream = Setting<String?>.optionalText(
        "PRONTO_AI_ROUTING_URL", longest: 512,
        "Where it sends streams: ws:// or wss://, host and port, no path. Unset: this node's media listener.")
    package let routingBudget = Setting<Duration>.milliseconds(
        "PRONTO_ROUTING_BUDGET", 50...5000, default: 400,
        "The routing question is answered within this, whatever else is slow: then with human.")
    package let routingRate = Setting<Int>.integer(
        "PRONTO_ROUTING_RATE", 60...10_000_000, unit: "questions a minute", default: 12_000,
        "How often the routing question may be asked about one tenant, whoever asks; a sixth of it at once. Beyond: human."
    )
    package let timeZone = Setting<String>.text(
        "DEFAULT_TIMEZONE", default: "Europe/Rome",
        "The zone of time windows and calendars for which neither they nor their tenant name one.")
    package let activityNumbers = Setting<ActivityNumbers>.choice(
        "PRONTO_ACTIVITY_NUMBERS", default: .masked,
        "What voip_activity_log keeps of dialed numbers: full; masked = country and the last two digits; none.")
    package let logLevel = Setting<LogLevel>.choice("LOG_LEVEL", default: .info, "The least level that is logged.")
    package let logFormat = Setting<LogFormat>.choice(
        "PRONTO_LOG_FORMAT", default: .text, "One line of text, or one of JSON.")

    /// The headings of the page, each with the first setting under it.
    static let headings: [(title: String, first: String)] = [
        ("The phone's side", "AUDIO_MODE"),
        ("FreeSWITCH's Event Socket", "ESL_HOST"),
        ("Calls by the `socket` application", "ESL_SERVER_HOST"),
        ("Datagrams: RTP and unicast", "RTP_BIND_ADDRESS"),
        ("SIP", "PRONTO_SIP_HOST"),
        ("Assistants", "OPENAI_API_KEY"),
        ("Turns", "REALTIME_VAD_THRESHOLD"),
        ("What is kept", "PRONTO_DATABASE"),
        ("Several nodes", "REDIS_HOST"),
        ("Seen while running", "PRONTO_ADMIN_HOST"),
    ]

    static let keys = SettingKeys()

    /// Every setting, in order. By reflection, so that none can be forgotten; once a process.
    package static let all: [any SettingDescription] = Mirror(reflecting: keys).children.compactMap {
        $0.value as? any SettingDescription
    }

    static let byName: [String: any SettingDescription] = Dictionary(
        all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

    /// Names that the requirements and existing installations set and that this version does not read: a warning, no
    /// error, so that an existing `.env` serves.
    package static let unread: [(names: [String], why: String)] = [
        (["FREESWITCH_RTP_IP"], "the far end of RTP is learnt from SDP and from the packets"),
        (
            ["ESL_HOST_ALLOW_LOOPBACK"], "loopback is always allowed for the Event Socket"
        ),
        (
            ["REALTIME_VOICE", "DEFAULT_GATEWAY", "DEBUG"],
            "read by earlier gateways only"
        ),
    ]

    static let unreadReasons: [String: String] = Dictionary(
        unread.flatMap { entry in entry.names.map { ($0, entry.why) } }, uniquingKeysWith: { first, _ in first })
}
