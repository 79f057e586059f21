import AdminAPI
import Foundation
import Networking
import Records
import Routing
import Synchronization
import Telephony

/// `pronto-bench routing [QUESTIONS-PER-SECOND=1000] [SECONDS=10]`: what routing costs for 10 000 tenants with 50 000
/// numbers.
///
/// The rows are read into a table (time, and what the process grew by), the table decides in one thread, and then the
/// question is asked over HTTP on loopback at a steady rate: a loop with the server and the desk, a loop with the client
/// (libcurl, kept connections), each question due at its own time, so that a late answer delays no later question. Latency
/// is from when a question was due. Exit 1: an answer was missing or wrong, or p99 was above 5 ms.
enum RoutingLoad {
    private static let tenants = 10_000
    private static let numbersEach = 5

    private static func id(_ kind: Int, _ number: Int) -> String {
        let digits = String(number, radix: 16)
        return "00000000-0000-4000-800\(kind)-" + String(repeating: "0", count: 12 - digits.count) + digits
    }

    private static func rows() -> RoutingRows {
        var rows = RoutingRows()
        for number in 0..<Self.tenants {
            guard let tenant = TenantID(Self.id(1, number)), let agent = AssistantID(Self.id(2, number)),
                let route = RouteID(Self.id(3, number)), let calendar = CalendarID(Self.id(4, number))
            else { preconditionFailure("no UUID") }
            var entry = RoutingTenantRow(tenant: tenant, domain: "tenant\(number).example")
            entry.country = "39"
            entry.zone = "Europe/Rome"
            rows.tenants.append(entry)
            rows.agents.append(AgentRow(id: agent, tenant: tenant, name: "agent"))
            rows.calendars.append(
                CalendarRow(
                    id: calendar, tenant: tenant, name: "Festivi",
                    dates: ["01-01", "01-06", "04-25", "05-01", "06-02", "08-15", "11-01", "12-08", "12-25", "12-26"]
                        .enumerated().map {
                            CalendarDateRow(number: $0 + 1, name: nil, mode: "closed", from: $1, to: $1)
                        }))
            var row = TrunkSettings(id: route, tenant: tenant)
            row.trunk = "trunk-\(number)"
            row.timeWindows =
                #"[{"dow":[1,2,3,4,5],"ranges":[{"start":"09:00","end":"13:00"},{"start":"15:00","end":"19:00"}],"tz":"Europe/Rome"},{"dow":[6],"start":"09:00","end":"13:00"}]"#
            row.calendars = #"["\#(calendar)"]"#
            row.didAllow =
                "[" + (0..<Self.numbersEach).map { "\"\(Self.did(number, $0))\"" }.joined(separator: ",") + "]"
            row.agent = agent.text
            row.fallbackType = "ring"
            row.fallbackRef = "2000"
            row.language = "it-IT"
            rows.trunks.append(row)
        }
        return rows
    }

    /// What one tenant's change costs beside the others.
    private static func change(_ table: RoutingTable, _ rows: RoutingRows) {
        var (table, times) = (table, [Duration]())
        for number in 0..<100 {
            let place = number * 97 % Self.tenants
            let tenant = rows.tenants[place]
            let part = RoutingRows(
                asked: [tenant.tenant], tenants: [tenant], trunks: rows.trunks.filter { $0.tenant == tenant.tenant },
                agents: rows.agents.filter { $0.tenant == tenant.tenant },
                calendars: rows.calendars.filter { $0.tenant == tenant.tenant })
            let used = ConfigurationLoad.processor()
            table = table.taking(part)
            times.append(ConfigurationLoad.processor() - used)
        }
        times.sort()
        print(
            String(
                format: "routing: one tenant's rows taken over in %.1f ms of CPU (median of 100), %.1f at most",
                times[50] / .milliseconds(1), times[99] / .milliseconds(1)))
    }

    private static func did(_ tenant: Int, _ number: Int) -> String {
        "+3906\(1_000_000 + tenant * Self.numbersEach + number)"
    }

    /// Resident, in bytes.
    private static func resident() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096
    }

    static func run(rate: Int, seconds: Int) async throws -> Int32 {
        guard let home = Zone("Europe/Rome"), let monday = Moment.date("2026-11-23T10:00:00+01:00"),
            let address = SocketAddress("127.0.0.1", port: 0)
        else { return 2 }
        let clock = ContinuousClock()
        let rows = Self.rows()
        let before = Self.resident()
        let (began, used) = (clock.now, ConfigurationLoad.processor())
        let table = RoutingTable(rows, home: home)
        let (built, spent) = (clock.now - began, ConfigurationLoad.processor() - used)
        print(
            String(
                format:
                    "routing: %d tenants, %d numbers: read in %.2f s (%.2f s of CPU), %.0f MB more resident, %d problems",
                Self.tenants, Self.tenants * Self.numbersEach, built / .seconds(1), spent / .seconds(1),
                Double(Self.resident() - before) / 1e6, table.problems.count))
        Self.change(table, rows)

        let questions = (0..<100_000).map { index in
            let tenant = (index &* 7919) % Self.tenants
            return RoutingQuestion(
                domain: "tenant\(tenant).example", trunk: "trunk-\(tenant)",
                did: Self.did(tenant, index % Self.numbersEach), at: monday)
        }
        let deciding = clock.now
        var taken = 0
        for question in questions where table.decide(question).isAI { taken += 1 }
        let decided = (clock.now - deciding) / .seconds(1)
        print(
            String(
                format: "routing: %.1f µs a decision, %.0f a second on one thread; %d of %d the AI's",
                decided * 1e6 / Double(questions.count), Double(questions.count) / decided, taken, questions.count))
        guard taken == questions.count else { return 1 }

        let desk = RoutingDesk(
            table: { table }, single: nil, failover: "2000", streamBase: "ws://127.0.0.1:8085",
            budget: .milliseconds(400), onlyTenant: { nil }, refusal: { _, _ in nil }, assistant: { _, _ in nil },
            token: { _, _, _, _ in nil }, who: RoutingDesk.peers { $0.isLoopback }, now: { monday })
        let (here, there) = (EventLoop(name: "server"), EventLoop(name: "client"))
        here.start()
        there.start()
        let server = try HTTPServer(on: [here], address: address) { _ in
            { request, responder in
                guard let form = RoutingDesk.Form.of(request.path) else {
                    return responder.respond(HTTPResponse(status: 404))
                }
                desk.handle(request, as: form, responder)
            }
        }
        let base = "http://\(server.address)/api/voip/ai-routing"
        let total = rate * seconds
        let load = try await there.run { LoopBound(Load(base: base, rate: rate, total: total, on: there), on: there) }
        let sending = clock.now
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            there.execute { load.value.start { done.resume() } }
        }
        let took = (clock.now - sending) / .seconds(1)
        let (latencies, wrong) = try await there.run { (load.value.latencies.sorted(), load.value.wrong) }
        server.close()
        here.stop()
        there.stop()
        guard !latencies.isEmpty else { return 1 }
        func at(_ part: Double) -> Double { latencies[min(latencies.count - 1, Int(Double(latencies.count) * part))] }
        print(
            String(
                format:
                    "routing: %d questions over HTTP in %.1f s: median %.2f ms, p99 %.2f ms, longest %.2f ms, %d wrong",
                latencies.count, took, at(0.5), at(0.99), latencies[latencies.count - 1], wrong))
        return wrong == 0 && latencies.count == total && at(0.99) <= 5 ? 0 : 1
    }

    /// Asks at its rate, whatever the answers do. Confined to its loop.
    private final class Load {
        private let base: String
        private let rate: Int
        private let total: Int
        private let loop: EventLoop
        private let client: HTTPClient
        private var sent = 0
        private var began: Duration = .zero
        private var done: (() -> Void)?
        /// Milliseconds.
        var latencies: [Double] = []
        var wrong = 0

        init(base: String, rate: Int, total: Int, on loop: EventLoop) {
            self.base = base
            self.rate = rate
            self.total = total
            self.loop = loop
            self.client = HTTPClient(on: loop)
            self.latencies.reserveCapacity(total)
        }

        func start(_ done: @escaping () -> Void) {
            self.done = done
            self.began = EventLoop.freshNow()
            self.tick()
        }

        private func tick() {
            let now = EventLoop.freshNow()
            while self.sent < self.total, self.due(self.sent) <= now { self.ask(self.due(self.sent)) }
            guard self.sent < self.total else { return }
            self.loop.schedule(at: self.due(self.sent)) { self.tick() }
        }

        private func due(_ number: Int) -> Duration {
            self.began + .nanoseconds(Int64(number) * 1_000_000_000 / Int64(self.rate))
        }

        private func ask(_ due: Duration) {
            let tenant = (self.sent &* 7919) % RoutingLoad.tenants
            let did = RoutingLoad.did(tenant, self.sent % RoutingLoad.numbersEach)
            self.sent += 1
            let url = "\(self.base)?sip_domain=tenant\(tenant).example&trunk_id=trunk-\(tenant)&did=\(did)"
            self.client.fetch(HTTPClientRequest(url: url, timeout: .seconds(5))) { result in
                self.latencies.append((EventLoop.freshNow() - due) / .milliseconds(1))
                if case .success(let response) = result, response.status == 200,
                    String(decoding: response.body, as: UTF8.self).contains("\"mode\":\"ai\"")
                {
                    // As it should be.
                } else {
                    self.wrong += 1
                }
                if self.latencies.count == self.total { self.done?() }
            }
        }
    }
}
