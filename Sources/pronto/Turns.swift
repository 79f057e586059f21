/// Whose turn it is, in the order of asking: what reads and then applies does it whole before the next begins, so that a
/// reading that began before a change is never applied after the one that has it.
actor Turns {
    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// Runs `body` when everybody who asked before has done.
    nonisolated func inTurn<Failure: Error>(_ body: () async throws(Failure) -> Void) async throws(Failure) {
        await self.take()
        let result: Result<Void, Failure>
        do throws(Failure) {
            try await body()
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await self.pass()
        try result.get()
    }

    private func take() async {
        guard self.isTaken else {
            self.isTaken = true
            return
        }
        await withCheckedContinuation { self.waiting.append($0) }
    }

    private func pass() {
        if self.waiting.isEmpty { self.isTaken = false } else { self.waiting.removeFirst().resume() }
    }
}
