import Audio
import Glibc
import Telephony

/// Comfort noise (RFC 3389, payload type 13 in RFC 3551): the sound of a line on which nobody speaks.
///
/// A sender that pauses says how loud its background is, and may say its colour as reflection coefficients; the receiver
/// makes noise like it. The payload: one byte of level in −dBov, then one byte a coefficient.
package struct ComfortNoise: Sendable {
    /// What a payload says.
    package struct Description: Sendable, Equatable {
        /// 0 (as loud as can be) … 127, in −dBov: 0 dBov is a square wave of full scale.
        package var level: UInt8
        /// The quantised coefficients, the first `order` of them.
        package var coefficients: SIMD16<UInt8>
        package var order: Int

        package init(level: UInt8) {
            self.level = level & 0x7F
            self.coefficients = SIMD16(repeating: 127)
            self.order = 0
        }

        /// Reads a payload; nil when it is empty. §3: a receiver may use fewer coefficients than were sent; here 12.
        package init?(parsing payload: UnsafeRawBufferPointer) {
            guard let first = payload.first else { return nil }
            self.init(level: first)
            self.order = min(payload.count - 1, ComfortNoise.highestOrder)
            for index in 0..<self.order { self.coefficients[index] = payload[index + 1] }
        }

        /// How loud `frame` is: the payload that describes it, without colour.
        package init(of frame: UnsafeRawBufferPointer, law: G711.Law) {
            let level: Double = -Level(of: frame, encoding: law.encoding).rms
            self.init(level: UInt8(min(127, max(0, level.rounded()))))
        }

        package func write(into payload: inout [UInt8]) {
            payload.append(self.level)
            for index in 0..<self.order { payload.append(self.coefficients[index]) }
        }
    }

    package static let highestOrder = 12

    private var description = Description(level: 127)
    private var gain: Float = 0
    private var reflections = SIMD16<Float>(repeating: 0)
    /// The lattice filter's memory.
    private var backward = SIMD16<Float>(repeating: 0)
    private var state: UInt64
    private var samples: [Int16] = []

    /// `seed`: any number; the noise of a call follows from it.
    package init(seed: UInt64) {
        self.state = seed | 1
        self.samples.reserveCapacity(320)
    }

    package mutating func use(_ description: Description) {
        guard description != self.description else { return }
        self.description = description
        self.reflections = SIMD16(repeating: 0)
        // The filter colours noise of power 1 − Σ so that the level is the one that was said.
        var power: Float = 1
        for index in 0..<description.order {
            // §3.2: k = 258 · (N − 127) / 32768. Held a little inside the circle, so that rounding cannot make it ring.
            let coefficient: Float = 258 * (Float(description.coefficients[index]) - 127) / 32768
            self.reflections[index] = min(0.98, max(-0.98, coefficient))
            power *= 1 - self.reflections[index] * self.reflections[index]
        }
        let level: Float = 32768 * exp(-Float(description.level) / 20 * 2.302_585)
        // Uniform noise of amplitude a has the root mean square a / √3.
        self.gain = level * (3 * power).squareRoot()
    }

    /// Appends `count` codes of noise.
    package mutating func append(_ count: Int, as law: G711.Law, to output: inout [UInt8]) {
        self.samples.removeAll(keepingCapacity: true)
        for _ in 0..<count {
            // xorshift64: its quality is beyond what an ear asks for.
            self.state ^= self.state << 13
            self.state ^= self.state >> 7
            self.state ^= self.state << 17
            let uniform: Float = Float(Int32(truncatingIfNeeded: self.state >> 32)) / 2_147_483_648
            self.samples.append(Int16(max(-32768, min(32767, self.filtered(uniform * self.gain)))))
        }
        self.samples.withUnsafeBufferPointer { G711.encode($0, as: law, into: &output) }
    }

    /// The all-pole lattice: stable for any coefficients within the circle.
    private mutating func filtered(_ excitation: Float) -> Float {
        var forward: Float = excitation
        var index: Int = self.description.order - 1
        while index >= 0 {
            let reflection: Float = self.reflections[index]
            forward -= reflection * self.backward[index]
            self.backward[index + 1] = self.backward[index] + reflection * forward
            index -= 1
        }
        self.backward[0] = forward
        return forward
    }
}
