import Audio
import Conversation
import Glibc
import Observability
import Telephony

/// Records a call off the loop, as a stereo WAV: left the caller, right what the caller heard.
///
/// The loop only lays frames on the time line and, once a second, hands the finished stretch to a writer thread. A disk
/// that is full or slow costs a stretch of the recording, never the call.
final class CallRecorder {
    private var timeline: StereoTimeline
    private let file: RecordingFile
    private var lastDrain: Duration

    /// Nil when the formats cannot be laid side by side.
    init?(file: RecordingFile, uplink: AudioFormat, downlink: AudioFormat, at now: Duration) {
        guard let timeline = try? StereoTimeline(uplink: uplink, downlink: downlink, start: now) else { return nil }
        self.timeline = timeline
        self.file = file
        self.lastDrain = now
        file.open()
    }

    func callerFrame(_ frame: UnsafeRawBufferPointer, endedAt now: Duration) {
        self.drain(before: now)
        self.timeline.callerFrame(frame, endedAt: now)
    }

    func agentFrame(_ frame: UnsafeRawBufferPointer, playsAt: Duration) {
        // Also by these: a caller who is silent on the wire is still spoken to.
        self.drain(before: playsAt)
        self.timeline.agentFrame(frame, playsAt: playsAt)
    }

    func flush(at now: Duration) { self.timeline.flush(at: now) }

    /// The call is over. Returns the file's path, unless nothing could be written.
    func finish(at now: Duration) -> String? {
        self.hand(self.timeline.drain(at: now))
        self.hand(self.timeline.finish(at: now))
        return self.file.finish()
    }

    /// Before a frame is laid, so that a silence of any length is a number here, and not zeros.
    private func drain(before time: Duration) {
        guard time - self.lastDrain >= .seconds(1) else { return }
        self.lastDrain = time
        self.hand(self.timeline.drain(at: time))
    }

    private func hand(_ stretch: StereoTimeline.Stretch) {
        if !stretch.bytes.isEmpty { self.file.write(stretch.bytes) }
        if stretch.silence > 0 { self.file.skip(samples: stretch.silence) }
    }
}
