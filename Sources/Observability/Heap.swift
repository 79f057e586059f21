import CLinux

/// The process's heap.
package enum Heap {
    /// Gives freed memory back to the system: after something large that does not come again soon, such as the whole
    /// configuration read anew. Takes milliseconds; any thread.
    package static func giveBack() { pronto_trim_heap() }
}
