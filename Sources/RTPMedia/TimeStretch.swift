import Audio

/// Makes a frame of 20 ms out of a little more or a little less audio, so that the buffer's depth changes unheard.
///
/// In a quiet stretch any length is put in or taken out, with a fade. In speech one or more whole pitch periods: the lag at
/// which the signal is most like itself, two copies faded into one another (overlap and add by similarity, as WSOLA does).
/// Only the frames in which the depth changes are decoded.
package struct TimeStretch: Sendable {
    /// 5 ms: the pitch of a high voice (200 Hz).
    package static let shortest = 40
    /// 20 ms.
    package static let longest = 160
    /// A deep voice: 66 Hz.
    private static let longestPitch = 120
    private static let frame = 160
    /// Root mean square below which a frame is background, and nobody hears where it is cut (−46 dBFS).
    private static let quiet: Float = 160
    /// How alike the two copies must be, 1 being equal.
    private static let likeness: Float = 0.6

    private let law: G711.Law
    private var samples: [Int16] = []
    private var result: [Int16] = []

    package init(law: G711.Law) {
        self.law = law
        self.samples.reserveCapacity(2 * TimeStretch.frame + Concealer.historySamples)
        self.result = [Int16](repeating: 0, count: TimeStretch.frame)
    }

    package mutating func begin() { self.samples.removeAll(keepingCapacity: true) }

    /// What is to be played, in order.
    package mutating func add(_ codes: ArraySlice<UInt8>) {
        codes.withUnsafeBytes { G711.decode($0, as: self.law, into: &self.samples) }
    }

    /// Appends one frame made of the 160 + `most` samples that were added, or of fewer. Returns how many samples were
    /// taken out; nil when this stretch does not allow it now.
    package mutating func shorten(
        by most: Int, isInSpeechAllowed: Bool, into output: inout [UInt8]
    ) -> Int? {
        let lag: Int
        if self.isQuiet(from: 0, count: TimeStretch.frame + most) {
            lag = most
        } else {
            guard isInSpeechAllowed,
                let best = self.bestLag(upTo: min(most, TimeStretch.longestPitch), at: 0, direction: 1)
            else { return nil }
            lag = best
        }
        self.fade(from: 0, to: lag, into: &output)
        return lag
    }

    /// Appends one frame made of the first 160 − lag of the 160 samples that were added. Returns the lag.
    package mutating func lengthen(
        by most: Int, after concealer: Concealer, isInSpeechAllowed: Bool, into output: inout [UInt8]
    ) -> Int? {
        // Behind the new samples, what was played before them: index −1 is the last of it.
        let start: Int = TimeStretch.longest
        concealer.appendHistory(start, to: &self.samples)
        self.rotateHistoryToFront(start)
        let lag: Int
        if self.isQuiet(from: 0, count: self.samples.count) {
            lag = most
        } else {
            guard isInSpeechAllowed,
                let best = self.bestLag(upTo: min(most, TimeStretch.longestPitch), at: start, direction: -1)
            else { return nil }
            lag = best
        }
        self.fade(from: start, to: start - lag, into: &output)
        return lag
    }

    private mutating func rotateHistoryToFront(_ history: Int) {
        let count: Int = self.samples.count
        self.samples.withUnsafeMutableBufferPointer { samples in
            // Three reversals: no second buffer.
            samples[0..<(count - history)].reverse()
            samples[(count - history)..<count].reverse()
            samples.reverse()
        }
    }

    private func isQuiet(from start: Int, count: Int) -> Bool {
        var sum: Float = 0
        for index in start..<(start + count) { sum += Float(self.samples[index]) * Float(self.samples[index]) }
        return sum < TimeStretch.quiet * TimeStretch.quiet * Float(count)
    }

    /// The lag within `shortest`…`most` at which 10 ms from `start` on are most like 10 ms that far away.
    private func bestLag(upTo most: Int, at start: Int, direction: Int) -> Int? {
        guard most >= TimeStretch.shortest else { return nil }
        return self.samples.withUnsafeBufferPointer { samples in
            var best: (lag: Int, likeness: Float) = (0, TimeStretch.likeness)
            let span: Int = TimeStretch.frame / 2
            for lag in TimeStretch.shortest...most {
                var product: Float = 0
                var near: Float = 1
                var far: Float = 1
                let other: Int = start + direction * lag
                for index in 0..<span {
                    let a = Float(samples[start + index])
                    let b = Float(samples[other + index])
                    product += a * b
                    near += a * a
                    far += b * b
                }
                let likeness: Float = product / (near * far).squareRoot()
                if likeness > best.likeness { best = (lag, likeness) }
            }
            return best.lag == 0 ? nil : best.lag
        }
    }

    /// One frame that begins as the samples from `start` and ends as those from `other`.
    private mutating func fade(from start: Int, to other: Int, into output: inout [UInt8]) {
        let frame: Int = TimeStretch.frame
        for index in 0..<frame {
            let weight: Float = Float(index) / Float(frame)
            let a = Float(self.samples[start + index])
            let b = Float(self.samples[other + index])
            self.result[index] = Int16(max(-32768, min(32767, (a + (b - a) * weight).rounded())))
        }
        self.result.withUnsafeBufferPointer { G711.encode($0, as: self.law, into: &output) }
    }
}
