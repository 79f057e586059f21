import EventSocket
import Networking
import Synchronization
import Telephony

/// Listeners and waits on a link. Both outlive a loss of the connection: the switch is told of them again.
extension ControlLink {
    /// Somebody who listens, until `cancel`.
    package final class Listener: Sendable {
        private let link: ControlLink
        private let id = Mutex<(listener: EventListeners.ID?, isCancelled: Bool)>((nil, false))

        fileprivate init(_ link: ControlLink) { self.link = link }

        /// On the link's loop.
        fileprivate func begin(_ interest: EventInterest, _ handlers: ControlShell.ListenerHandlers) -> Bool {
            if self.id.withLock({ $0.isCancelled }) { return true }
            guard let id = self.link.shell.value.listen(to: interest, handlers) else { return false }
            // Cancelled from another thread in between: what was begun ends.
            let isCancelled = self.id.withLock { state in
                state.listener = id
                return state.isCancelled
            }
            if isCancelled { self.link.shell.value.stopListening(id) }
            return true
        }

        /// Nothing is told any more once the link's loop has taken this. Twice does nothing.
        package func cancel() {
            let id = self.id.withLock { state -> EventListeners.ID? in
                defer { state = (nil, true) }
                return state.listener
            }
            guard let id else { return }
            let link = self.link
            link.loop.execute { link.shell.value.stopListening(id) }
        }
    }

    /// Calls `handler`, on the link's loop, with each event of these names. It must not wait for anything.
    ///
    /// - Parameters:
    ///   - channel: nil: of any channel, also of those that no call of ours has.
    ///   - gone: the channel ended while the connection was away: no event of it will come.
    package func onEvent(
        _ names: [SwitchEvent.Name], subclasses: [String] = [], of channel: CallID? = nil,
        gone: @escaping @Sendable () -> Void = {}, _ handler: @escaping @Sendable (SwitchEvent) -> Void
    ) -> Listener {
        let listener = Listener(self)
        let interest = EventInterest(names, subclasses: subclasses, of: channel)
        self.loop.execute { [self] in
            if !listener.begin(interest, .init(event: handler, channelGone: gone)) {
                self.logger.error("An event listener names what cannot be asked of the switch")
            }
        }
        return listener
    }

    /// Why a wait ended without its event.
    package enum WaitFailure: Error, Sendable, Equatable {
        case timedOut
        /// The channel ended while the connection was away: no event of it will come.
        case channelGone
        /// A name or the channel cannot be written to the switch.
        case unsafe
        /// The command that was to cause the event was not carried out.
        case command(EventSocketFailure)
        /// The module says that its WebSocket could not be opened.
        case streamFailed
        case cancelled
    }

    /// Waits for the first event of these names.
    ///
    /// - Parameter command: is sent once the wait has begun, so that an event which it causes cannot be missed.
    package func wait(
        for names: [SwitchEvent.Name], subclasses: [String] = [], of channel: CallID? = nil, timeout: Duration,
        after command: ApiCommand? = nil
    ) async throws(WaitFailure) -> SwitchEvent {
        let interest = EventInterest(names, subclasses: subclasses, of: channel)
        let listener = Listener(self)
        let promise = Promise<Result<SwitchEvent, WaitFailure>>()
        let result = await withTaskCancellationHandler {
            self.loop.execute { [self] in
                let handlers = ControlShell.ListenerHandlers(
                    event: { promise.settle(.success($0)) }, channelGone: { promise.settle(.failure(.channelGone)) })
                guard listener.begin(interest, handlers) else { return promise.settle(.failure(.unsafe)) }
                let timer = self.loop.schedule(after: timeout) { promise.settle(.failure(.timedOut)) }
                let bound = LoopBound(timer, on: self.loop)
                promise.onSettled { [self] in self.loop.execute { self.loop.cancel(bound.value) } }
                guard let command else { return }
                self.shell.value.execute(command, timeout: nil) { result in
                    if case .failure(let failure) = result { promise.settle(.failure(.command(failure))) }
                }
            }
            return await promise.value
        } onCancel: {
            promise.settle(.failure(.cancelled))
        }
        listener.cancel()
        return try result.get()
    }

    /// Waits until commands can be sent.
    package func ready(within limit: Duration) async throws(EventSocketFailure) {
        _ = try await self.perform(.status, timeout: limit)
    }
}

/// A value that comes once, from any thread, to one who waits for it; what comes after the first is dropped.
final class Promise<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiting: CheckedContinuation<Value, Never>?
        var settled: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    func settle(_ value: Value) {
        let (waiting, settled) = self.state.withLock {
            state -> (CheckedContinuation<Value, Never>?, (@Sendable () -> Void)?) in
            guard state.value == nil else { return (nil, nil) }
            state.value = value
            defer { (state.waiting, state.settled) = (nil, nil) }
            return (state.waiting, state.settled)
        }
        settled?()
        waiting?.resume(returning: value)
    }

    /// `body` runs when the value comes; at once when it is there.
    func onSettled(_ body: @escaping @Sendable () -> Void) {
        let isSettled = self.state.withLock { state in
            if state.value == nil { state.settled = body }
            return state.value != nil
        }
        if isSettled { body() }
    }

    var value: Value {
        get async {
            await withCheckedContinuation { continuation in
                let value = self.state.withLock { state -> Value? in
                    if state.value == nil { state.waiting = continuation }
                    return state.value
                }
                if let value { continuation.resume(returning: value) }
            }
        }
    }
}
