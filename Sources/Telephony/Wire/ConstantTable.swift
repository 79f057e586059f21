/// A table that is computed once and lives as long as the process: for `static let` only, it is never freed.
///
/// An array in its place would be retained and released at each use, and its count is one word that all loops write.
///
/// `@unchecked Sendable`: the memory is written before the value exists, and never again.
package struct ConstantTable<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
    package let base: UnsafePointer<Element>
    package let count: Int

    package init(_ elements: [Element]) {
        let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
        memory.initialize(from: elements, count: elements.count)
        self.base = UnsafePointer(memory)
        self.count = elements.count
    }
}
