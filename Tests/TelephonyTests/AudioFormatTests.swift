import Telephony
import Testing

@Suite struct AudioFormatTests {
    @Test(
        "Samples in a duration, rounded down, in any that a clock or a row can have",
        arguments: [
            (Duration.milliseconds(20), 8000, 160), (.nanoseconds(124_999), 8000, 0), (.nanoseconds(125_000), 8000, 1),
            (.seconds(1), 48000, 48000), (.milliseconds(1500), 24000, 36000),
            // Ten years, which rows may have, and nearly all that nanoseconds can count.
            (.milliseconds(315_360_000_000), 16000, 5_045_760_000_000),
            (.milliseconds(315_360_000_000) + .microseconds(62_500), 16000, 5_045_760_001_000),
            (.nanoseconds(Int64.max), 48000, 442_721_857_769_029),
        ])
    func samples(duration: Duration, hertz: Int, samples: Int) {
        let rate = SampleRate(hertz: hertz)
        #expect(rate.samples(in: duration) == samples)
        #expect(AudioFormat.l16(rate).bytes(in: duration) == 2 * samples)
    }
}
