// AdminAPI: what operators and their tools see over HTTP: health, metrics, the routing question, and the API.
//
// `Server/` is what every route has in common: a declaration (`APIRoute`) from which the router, the checks and the
// OpenAPI document are made; who may ask (`APIGate`); how much (`RateLimiter`); problems in words (RFC 9457).
// `Resources/` are the routes, a file a subject. Nothing here touches a database, a file or a call: `APIBackEnd` names
// what does.
