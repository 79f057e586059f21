// Configuration: what may be set, from where, and what is wrong with it.
//
// The keys are data (`SettingKeys`): one table gives the typed access, the checks, the errors and the page
// docs/configuration.md. Sources, each above the one before: defaults; `pronto.toml` or `pronto.json`; `.env`; the
// environment; the command line. Every wrong value is reported at once, and start-up stops.
//
// Assumed: small files, read once at start. Left out: reloading, and what belongs to a tenant (that is in the store).
