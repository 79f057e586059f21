import Assistants
import Audio
import Conversation
import Foundation
import MediaDialects
import Networking
import Observability
import PhoneServer
import Records
import Telephony

struct NoSpeech: SpeechServices {
    struct Job: ListeningJob { func cancel() {}; func caller(_ frame: UnsafeRawBufferPointer) {} }
    func synthesise(_ request: SpeechRequest, report: @escaping @Sendable (SpeechReport) -> Void) -> any SpeechJob { report(.ended(.failed(slug: "none"))); return Job() }
    func recognise(_ request: RecognitionRequest, report: @escaping @Sendable (SpeechReport) -> Void) -> any ListeningJob { Job() }
    func detect(_ request: DetectionRequest, report: @escaping @Sendable (SpeechReport) -> Void) -> any ListeningJob { Job() }
}
signal(SIGPIPE, SIG_IGN)
let env = ProcessInfo.processInfo.environment
let directory = AssistantDirectory()
let tenant = Tenant(id: TenantID("00000000-0000-0000-0000-000000000001")!, name: "demo")
var assistant = Assistant(id: AssistantID("00000000-0000-0000-0000-0000000000a1")!, tenant: tenant.id, name: "demo")
assistant.providers = [.openAI]
assistant.greeting = "Hello"
directory.replace(with: [.init(tenant: tenant, assistants: [assistant])])
var defaults = AssistantDefaults()
defaults.endsWithLocal = false
defaults.resumeWindow = .milliseconds(Int(env["PRONTO_BARGE_IN_CONFIRM_MS"] ?? "0")!)
var openai = OpenAIRealtimeConfiguration(baseURL: env["OPENAI_BASE_URL"] ?? "http://127.0.0.1:29090/v1", credential: .bearer(Redacted("k")))
openai.requiresFormatEcho = false
let makers = StandardAssistants(directory: directory, defaults: defaults, openAI: openai) { _, _, _ in throw AssistantFailure("none", .failOver) }
var gc = GatewayConfiguration()
var dd = DialectSelection.Defaults(dialect: .binaryDown, format: .l16(SampleRate(hertz: Int(env["RATE"] ?? "16000")!)))
if env["PCMU"] != nil { dd.format = .pcmu }
dd.binaryStyle = env["PCMU"] != nil ? .binary : .streamAudio
dd.flushText = "{\"type\":\"stopAudio\"}"
gc.dialects = DialectSelection(defaults: dd)
let logger = Logger(level: .warning, form: .text)
let gateway = Gateway(configuration: gc, directory: directory, logger: logger, metrics: GatewayMetrics(), speech: NoSpeech(), assistants: makers, plans: StandardPlans(defaults: defaults), sentences: { s, _ in s.slug }, finished: { _ in })
let group = EventLoopGroup(count: Int(env["LOOPS"] ?? "1")!)
let server = try HTTPServer(on: group.loops, address: SocketAddress("127.0.0.1", port: Int(env["PORT"] ?? "8085")!)!) { loop in
    let listener = PhoneListener(gateway: gateway, loop: loop)
    return { listener.handle($0, $1) }
}
while true { sleep(1000) }
