// Audio: what is done to samples between a phone leg and an assistant.
//
// G.711 both ways, rates (a polyphase filter), formats into formats, messages of any size into 20 ms frames, levels, tones and
// their detection, WAV files as values. Sample values are 16-bit signed, little-endian on the wire and in memory (the
// platforms of this project are little-endian). No file, no clock; nothing here allocates once its buffers have grown.
