// Observability: what can be seen of a running gateway. A structured logger and a metrics registry, nothing else.
//
// Log messages are static sentences, details are metadata under dotted keys; what a person said, dialed or typed is
// `Redacted` and prints as nothing. Metric labels come from closed sets, so that no caller can grow the registry.
