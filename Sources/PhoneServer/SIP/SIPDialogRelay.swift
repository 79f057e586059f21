import Networking
import SIPSignalling

/// Brings a dialog's events to the loop of its call, and keeps them until somebody there takes them. Confined to the loop.
final class SIPDialogRelay {
    private var waiting: [SIPDialogEvent] = []
    /// Takes each event, those that waited first.
    var onEvent: ((SIPDialogEvent) -> Void)? {
        didSet {
            guard let onEvent = self.onEvent, !self.waiting.isEmpty else { return }
            let events = self.waiting
            self.waiting = []
            for event in events { onEvent(event) }
        }
    }

    init(_ dialog: SIPDialog, on loop: EventLoop) {
        let box = LoopBound(self, on: loop)
        dialog.observe { event in loop.execute { box.value.take(event) } }
    }

    private func take(_ event: SIPDialogEvent) {
        if let onEvent = self.onEvent { onEvent(event) } else { self.waiting.append(event) }
    }
}
