// SpeechEngines: performs `synthesise`, `recognise` and `detect` of the assistants with engines on this machine.
//
// espeak-ng speaks, as a child process (it is GPL and never linked). pocketsphinx recognises, with a closed grammar.
// Silero detects speech through sherpa-onnx where the package is built with the trait LocalSpeech; elsewhere the
// energy gate of Audio serves. Nothing here runs on a media loop: the loop hands frames over (`SpeechListener.hear`)
// and gets results by callbacks on the engines' own threads, which it brings home with `loop.execute`.
//
// This module knows no assistant: its requests are its own, so that it depends on Audio alone (design §2).
