/// The clock of G.711 and of telephone-event/8000: eight samples a millisecond.
package enum MediaClock {
    package static let hertz = 8000
    private static let nanosecondsPerSample: Int64 = 125_000

    /// Samples in `duration`, rounded down.
    package static func samples(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 8000 + attoseconds / (1_000_000_000 * self.nanosecondsPerSample)
    }

    package static func duration(_ samples: Int) -> Duration {
        .nanoseconds(Int64(samples) * self.nanosecondsPerSample)
    }
}
