# Sourced by scripts/bench and scripts/soak: a gateway of the release build on a database of its own, for load.
#
# Needs ROOT (scripts/lib/env.sh). Sets DOMAIN, the tenant that the load calls.

DOMAIN=00000000-0000-4000-8000-00000000000a

# build_release PRODUCT: builds and prints the program's path.
build_release() { "$ROOT/scripts/build" "$1"; }

# write_gateway PRONTO FOLDER PORT PROVIDER_PORT [NAME=VALUE…]: seeds a database in FOLDER and writes FOLDER/gateway, a
# program that becomes `pronto serve` on it. Plain binary-down phones, one loop, no recording, no local VAD: the work of
# the bench's roofline.
write_gateway() {
    local pronto=$1 folder=$2 port=$3 provider=$4 word
    shift 4
    mkdir -p "$folder"
    {
        echo "#!/bin/bash"
        echo "cd $(printf %q "$folder") || exit 1"
        echo "ulimit -n 16384 2>/dev/null || ulimit -n \"\$(ulimit -Hn)\""
        for word in "PRONTO_DATABASE=$folder/pronto.db" "REALTIME_PORT=$port" HEALTH_PORT=$((port + 1)) \
            "OPENAI_BASE_URL=http://127.0.0.1:$provider/v1" OPENAI_API_KEY=bench \
            PRONTO_DIALECT=binary-down 'PRONTO_PHONE_FLUSH={"type":"stopAudio"}' PRONTO_BARGE_IN_CONFIRM_MS=0 \
            PRONTO_RECORDING=off PRONTO_LOOPS=1 MAX_SESSIONS_PER_DOMAIN=5000 LOG_LEVEL=warning "$@"; do
            echo "export $(printf %q "$word")"
        done
        echo "exec $(printf %q "$pronto") \"\${@:-serve}\""
    } >"$folder/gateway"
    chmod +x "$folder/gateway"
    "$folder/gateway" tenant add bench --id "$DOMAIN" >/dev/null
    "$folder/gateway" assistant add bench --tenant "$DOMAIN" --provider openai --instructions "Answer." >/dev/null
}

# await_port PORT: waits until something listens there.
await_port() {
    local _
    for _ in $(seq 100); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return 0; fi
        sleep 0.1
    done
    echo "nothing listens on port $1" >&2
    return 1
}
