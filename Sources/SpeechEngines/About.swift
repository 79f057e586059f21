// SpeechEngines
