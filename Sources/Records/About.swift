// Records: what outlives a call, as values, and the protocols of the places that keep it.
//
// Tenants, assistants, transfer destinations and provider accounts are configuration that people write; calls,
// conversations, turns and tool uses are what a call leaves behind, written once at its end. Nothing here touches a
// database: `Stores` does, behind the protocols of `RecordsStore.swift`. `Date` is allowed here and nowhere else in
// core.
//
// The one rule of every call of a store: it names the tenant, and nothing of another tenant is seen or changed.
