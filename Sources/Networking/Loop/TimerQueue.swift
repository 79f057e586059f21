/// Names one pending timer. Worthless once it has fired or was cancelled: cancelling it again does nothing.
package struct TimerID: Hashable, Sendable {
    fileprivate let slot: UInt32
    fileprivate let generation: UInt32
}

/// The timers of a loop: a binary heap by deadline. Adding, firing and cancelling cost O(log n), and no allocation once
/// the arrays have grown. Times are nanoseconds of the monotonic clock.
struct TimerQueue {
    private struct Slot {
        var generation: UInt32 = 0
        /// Where the timer stands in the heap; -1: free.
        var heapIndex: Int32 = -1
        var action: (() -> Void)?
    }

    private struct Entry {
        var deadline: Int64
        /// Timers of the same instant run in the order they were made.
        var order: UInt64
        var slot: UInt32

        func isBefore(_ other: Entry) -> Bool {
            self.deadline != other.deadline ? self.deadline < other.deadline : self.order < other.order
        }
    }

    private var heap: [Entry] = []
    private var slots: [Slot] = []
    private var freeSlots: [UInt32] = []
    /// The order of the timer made last.
    private(set) var newest: UInt64 = 0

    var count: Int { self.heap.count }
    var nextDeadline: Int64? { self.heap.first?.deadline }

    mutating func add(at deadline: Int64, _ action: @escaping () -> Void) -> TimerID {
        let slot: UInt32
        if let free = self.freeSlots.popLast() {
            slot = free
        } else {
            slot = UInt32(self.slots.count)
            self.slots.append(Slot())
        }
        self.slots[Int(slot)].action = action
        self.newest &+= 1
        self.heap.append(Entry(deadline: deadline, order: self.newest, slot: slot))
        self.slots[Int(slot)].heapIndex = Int32(self.heap.count - 1)
        self.siftUp(self.heap.count - 1)
        return TimerID(slot: slot, generation: self.slots[Int(slot)].generation)
    }

    mutating func cancel(_ timer: TimerID) {
        guard Int(timer.slot) < self.slots.count, self.slots[Int(timer.slot)].generation == timer.generation,
            self.slots[Int(timer.slot)].heapIndex >= 0
        else { return }
        self.removeFromHeap(at: Int(self.slots[Int(timer.slot)].heapIndex))
        self.release(timer.slot)
    }

    /// Takes out the first timer that is due at `now`, if it was made before or as `order`.
    mutating func takeDue(at now: Int64, madeUpTo order: UInt64) -> (() -> Void)? {
        guard let first = self.heap.first, first.deadline <= now, first.order <= order else { return nil }
        let action = self.slots[Int(first.slot)].action
        self.removeFromHeap(at: 0)
        self.release(first.slot)
        return action
    }

    private mutating func release(_ slot: UInt32) {
        self.slots[Int(slot)].generation &+= 1
        self.slots[Int(slot)].heapIndex = -1
        self.slots[Int(slot)].action = nil
        self.freeSlots.append(slot)
    }

    // The heap holds a timer of every call and is worked on at every frame: the entry that moves is held aside while the
    // others make room, and both arrays are checked for uniqueness once and not at each step.

    private mutating func siftUp(_ start: Int) {
        self.heap.withUnsafeMutableBufferPointer { heap in
            self.slots.withUnsafeMutableBufferPointer { slots in
                let moving = heap[start]
                var index = start
                while index > 0 {
                    let parent = (index - 1) / 2
                    guard moving.isBefore(heap[parent]) else { break }
                    heap[index] = heap[parent]
                    slots[Int(heap[index].slot)].heapIndex = Int32(index)
                    index = parent
                }
                heap[index] = moving
                slots[Int(moving.slot)].heapIndex = Int32(index)
            }
        }
    }

    private mutating func siftDown(_ start: Int) {
        self.heap.withUnsafeMutableBufferPointer { heap in
            self.slots.withUnsafeMutableBufferPointer { slots in
                let moving = heap[start]
                var index = start
                while true {
                    var child = 2 * index + 1
                    guard child < heap.count else { break }
                    if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
                    guard heap[child].isBefore(moving) else { break }
                    heap[index] = heap[child]
                    slots[Int(heap[index].slot)].heapIndex = Int32(index)
                    index = child
                }
                heap[index] = moving
                slots[Int(moving.slot)].heapIndex = Int32(index)
            }
        }
    }

    private mutating func removeFromHeap(at index: Int) {
        let last = self.heap.removeLast()
        guard index < self.heap.count else { return }
        self.heap[index] = last
        self.siftDown(index)
        // Only what did not sink may have to rise.
        if self.slots[Int(last.slot)].heapIndex == Int32(index) { self.siftUp(index) }
    }
}
