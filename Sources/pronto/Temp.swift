enum CallCommand { static func run(arguments: [String]) async -> Int32 { 1 } }
enum DemoCommand { static func run(_ arguments: [String]) async throws -> Int32 { 1 } }
