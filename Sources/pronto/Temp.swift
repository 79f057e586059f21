enum DemoCommand { static func run(_ arguments: [String]) async throws -> Int32 { 1 } }
