import Foundation
import Networking

/// The wall clock as RTCP writes it: NTP time (RFC 5905 §6), 32 bits of seconds since 1900 and 32 of their fraction.
enum WallClock {
    private static let secondsFrom1900: Double = 2_208_988_800

    /// NTP time at the moment when the loops' monotonic clock stood at zero.
    static func ntpAtLoopZero() -> UInt64 {
        let zero = Date().timeIntervalSince1970 + self.secondsFrom1900 - EventLoop.freshNow().inSeconds
        guard zero > 0 else { return 0 }
        let seconds = zero.rounded(.down)
        return UInt64(seconds.truncatingRemainder(dividingBy: 4_294_967_296)) << 32
            | UInt64((zero - seconds) * 4_294_967_295)
    }
}
