import Records
import Telephony

/// One caller's data: erased on request.
extension APIBackEnd {
    var callerRoutes: [APIRoute] {
        let counts = APISchema.whole(0...Int.max)
        return [
            APIRoute(
                .delete, "/api/callers/{number}", .tenant(.admin), name: "forgetCaller",
                "Erases what one caller left behind: numbers, conversations, recordings, spooled lines, activities.",
                parameters: [
                    APIParameter(
                        .path, "number", .text(.number), "The number; with or without + or 00 it is the same one.")
                ],
                answers: [
                    APIAnswer(
                        200,
                        .object([
                            APIField("calls", counts, "Records whose numbers were taken off"),
                            APIField("conversations", counts), APIField("recordings", counts),
                            APIField("spooled", counts, "Records that were waiting for the database"),
                            APIField("activities", counts),
                            APIField(
                                "left", counts,
                                "Recordings that are still to go: this disk would not let go of them, or another node has them. Each gateway catches up every minute."
                            ),
                        ]), "What was erased.")
                ]
            ) { asked throws(APIProblem) in
                let (tenant, number) = (try asked.tenant(), try asked.path("number") { $0 })
                let report: ErasureReport
                do throws(StoreError) {
                    report = try await self.eraser.forget(caller: number, of: tenant)
                } catch {
                    throw APIProblem(error)
                }
                return .json([
                    "calls": .integer(report.calls), "conversations": .integer(report.conversations),
                    "recordings": .integer(report.recordings), "spooled": .integer(report.spooled),
                    "activities": .integer(report.activities), "left": .integer(report.left),
                ])
            }
        ]
    }
}
