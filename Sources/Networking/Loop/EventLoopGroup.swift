import Synchronization

/// The loops of the process: one a core, by default. A call lives on one of them, whole.
package final class EventLoopGroup: Sendable {
    package let loops: [EventLoop]
    private let turn = Atomic<Int>(0)

    /// Starts `count` loops (1–256), whose threads are named `name-0`, `name-1`, ….
    package init(count: Int, name: String = "loop") {
        precondition((1...256).contains(count), "A group has 1 to 256 loops")
        self.loops = (0..<count).map { EventLoop(name: "\(name)-\($0)") }
        for loop in self.loops { loop.start() }
    }

    /// The loops in turn. Any thread.
    package func next() -> EventLoop {
        let turn = self.turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return self.loops[Int(truncatingIfNeeded: UInt(bitPattern: turn) % UInt(self.loops.count))]
    }

    /// Ends all loops and waits for their threads. Not from one of them.
    package func stop() {
        for loop in self.loops { loop.stop() }
    }
}

/// Carries a value that is confined to a loop through a `@Sendable` closure, as from a database's answer back to the
/// call that asked. Opening it elsewhere traps.
///
/// `@unchecked Sendable`: the value is reachable on its loop's thread only. It must also be *released* there; a box
/// that another thread may drop last should hold what is safe to drop.
package struct LoopBound<Value>: @unchecked Sendable {
    package let loop: EventLoop
    private let content: Value

    /// Hands a value that nobody else holds over to `loop`, from any thread: for what is made before the loop serves.
    package init(sending value: sending Value, on loop: EventLoop) {
        self.loop = loop
        self.content = value
    }

    package init(_ value: Value, on loop: EventLoop) {
        loop.preconditionInLoop()
        self.content = value
        self.loop = loop
    }

    package var value: Value {
        self.loop.preconditionInLoop()
        return self.content
    }
}

/// Hands a value from one loop to another: the sender has let go of it, the receiver alone will use it.
///
/// `@unchecked Sendable` by that contract; used for moving connections only.
struct HandedOver<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
