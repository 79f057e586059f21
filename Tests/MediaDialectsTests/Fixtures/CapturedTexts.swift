/// Texts as they were on the wire, from the recordings of a real FreeSWITCH (captures/ws-*.txt, 2026-11-20) and the
/// forms that the requirements and field.md §3.1 name. Ids and numbers are replaced by ones of the same shape.
enum CapturedTexts {
    /// captures/ws-amigniter-modes.txt, ws-netplay-modes.txt, ws-sptmru-modes.txt: the metadata argument of `start`.
    static let starts: [String] = [
        #"{"event":"start","call_uuid":"00000000-0000-4000-8000-000000000001","rate":"8k","mix":"mono"}"#,
        #"{"event":"start","call_uuid":"00000000-0000-4000-8000-000000000002","rate":"16k","mix":"mono"}"#,
        #"{"event":"start","call_uuid":"00000000-0000-4000-8000-000000000003","rate":"8k","mix":"mixed"}"#,
        #"{"event":"start","call_uuid":"00000000-0000-4000-8000-000000000004","rate":"16k","mix":"stereo"}"#,
    ]

    /// captures/ws-mod_audio_fork.txt and ws-amigniter-playback-by-broadcast.txt: what other people's dialplans say.
    static let others: [String] = [
        #"{"hello":"world"}"#, #"{"a":"b c d","e":1}"#, "meta data", "meta", "m",
        // send_text takes one word: what follows the first space is lost.
        #"{"type":"note","text":"two"#, #"{"bye":"now"#,
    ]

    /// requirements 1 (`session_start`), field.md §3.1.
    static let specified: [String] = [
        #"{"event":"session_start","callId":"00000000-0000-4000-8000-000000000005","caller":"1001","did":"2002"}"#,
        #"{"type":"metadata","caller_id":"+39000000001"}"#, #"{"type":"dtmf","digit":"5"}"#, #"{"type":"hangup"}"#,
        #"{"domain_uuid":"00000000-0000-4000-8000-00000000000a","secretary_uuid":"00000000-0000-4000-8000-00000000000b","caller":"1001"}"#,
    ]

    /// The module's own source (jambonz/freeswitch-modules 30f2189, `send_mark_event`), and its digit text.
    static let jambonz: [String] = [
        #"{"type": "mark", "data": {"name":"item-1", "event": "playout"}}"#,
        #"{"type": "mark", "data": {"name":"item-2", "event": "cleared"}}"#,
        #"{"event":"dtmf","dtmf":"2","duration":"1600"}"#,
        #"{"callSid":"00000000-0000-4000-8000-000000000006","from":"1001","to":"2002","sampleRate":8000,"mixType":"mono"}"#,
    ]

    static let all: [String] = starts + others + specified + jambonz
}
