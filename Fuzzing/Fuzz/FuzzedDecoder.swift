/// What can be fuzzed: every decoder that reads what somebody outside wrote.
enum FuzzedDecoder: String, CaseIterable {
    case webSocket = "websocket"
    case httpRequest = "http-request"
    case httpResponse = "http-response"
    case chunkedBody = "chunked-body"
    case eventSocket = "event-socket"
    case modAudioStream = "mod-audio-stream"
    case modAudioStreamFork = "mod-audio-stream-fork"
    case binaryDown = "binary-down"
    case drachtioFork = "mod-audio-fork-drachtio"
    case jambonzFork = "mod-audio-fork-jambonz"
    case streamRequest = "stream-request"
    case jsonScan = "json-scan"
    case base64 = "base64"
    case wav = "wav"
    case openAI = "openai"
    case elevenLabs = "elevenlabs"
    case gemini = "gemini"
    case pipelineChat = "pipeline-chat"
    case pipelineAnthropic = "pipeline-anthropic"
    case toml = "toml"
    case dotEnv = "dotenv"
    case jsonFile = "json-file"
    case sip = "sip-message"
    case sdp = "session-description"
    case rtp = "rtp"
    case rtcp = "rtcp"

    /// Feeds `bytes` to the decoder. Returns for any bytes; a trap, an address error or a broken promise is a finding.
    func feed(_ bytes: UnsafeRawBufferPointer) {
        switch self {
        case .webSocket: WireFuzzing.webSocket(bytes)
        case .httpRequest: WireFuzzing.head(.request, bytes)
        case .httpResponse: WireFuzzing.head(.response, bytes)
        case .chunkedBody: WireFuzzing.chunkedBody(bytes)
        case .eventSocket: WireFuzzing.eventSocket(bytes)
        case .modAudioStream: DialectFuzzing.messages(.modAudioStream, bytes)
        case .modAudioStreamFork: DialectFuzzing.messages(.modAudioStreamFork, bytes)
        case .binaryDown: DialectFuzzing.messages(.binaryDown, bytes)
        case .drachtioFork: DialectFuzzing.messages(.drachtioFork, bytes)
        case .jambonzFork: DialectFuzzing.messages(.jambonzFork, bytes)
        case .streamRequest: DialectFuzzing.streamRequest(bytes)
        case .jsonScan: TextFuzzing.jsonScan(bytes)
        case .base64: TextFuzzing.base64(bytes)
        case .wav: TextFuzzing.wav(bytes)
        case .openAI: OpenAIFuzzing.session(bytes)
        case .elevenLabs: CloudFuzzing.elevenLabs(bytes)
        case .gemini: CloudFuzzing.gemini(bytes)
        case .pipelineChat: PipelineFuzzing.chat(bytes)
        case .pipelineAnthropic: PipelineFuzzing.anthropic(bytes)
        case .toml, .dotEnv, .jsonFile: TextFuzzing.configuration(self, bytes)
        case .sip: SIPFuzzing.message(bytes)
        case .sdp: SIPFuzzing.sessionDescription(bytes)
        case .rtp: RTPFuzzing.stream(bytes)
        case .rtcp: RTPFuzzing.control(bytes)
        }
    }
}
