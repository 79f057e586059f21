// SharedState: several nodes as one system, through Redis. Optional: without REDIS_HOST nothing of it runs.
//
// A node is one `pronto serve`. What nodes tell each other is small and short-lived: which calls live where, how many a
// tenant has, which provider is failing, that the configuration changed, and what happens on calls (for consoles). No
// number, name of a caller, transcript or secret is ever written: ids of calls, tenants and assistants, and slugs.
//
// The contract: nothing here may hold up a call. Every question has a deadline (PRONTO_REDIS_DEADLINE_MS), after which the
// asker goes on alone; while Redis is away questions are answered "unknown" at once, and each node behaves as if it were
// the only one. What is written while Redis is away is not queued: on return a node writes its whole state anew.
//
// `Redis/` is the client: `RedisSession` (a value: attempts, greeting, replies in order, deadlines) in `RedisLink` (the
// socket). `Nodes/` is what is said over it: `NodeRegister` (a value), `NodeScripts` (each change of several keys is one
// Lua script, so that no node ever sees half of it), `RedisNodes` (what calls use, from any thread).
//
// Assumed: one Redis, or one address that leads to the one that may be written (a proxy, or a failover's moving address).
// Left out on purpose: Redis Cluster (the scripts reach keys of several slots), Sentinel's protocol, RESP3.
