-- ai_websocket_bridge.lua <ws_url> <failover_ext> <domain>: document 1's bridge of a call to a voice gateway.
--
--   <action application="lua" data="ai_websocket_bridge.lua ${pronto_ws_url} 2000 ${domain_name}"/>
--
-- The call is connected within 5 s, as the event ::connect says, or goes to `failover_ext` in the context `domain`
-- (FusionPBX names contexts after domains; on a plain FreeSWITCH give the context's name). It goes there too when the
-- stream drops in mid-call. Channel variables as in voice_secretary.lua: pronto_ws_mix, pronto_ws_rate, pronto_ws_dialect
-- (both stated in the address where it does not say, and the encoding with them), pronto_token.

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
local stream = dofile(here .. "/pronto_stream.lua")

local url, extension, domain = argv[1], argv[2] or "2000", argv[3]

local function failover(reason)
    stream.fail_over(session, reason, extension, domain or stream.variable(session, "context"))
end

-- States the format where the address does not: what the gateway would otherwise take is its own default.
local function stated(address, key, value)
    if not value or address:find("[?&]" .. key .. "=") then return address end
    return address .. (address:find("?", 1, true) and "&" or "?") .. key .. "=" .. stream.encoded(value)
end

local function main()
    if not session or not session:ready() then
        stream.log("ERR", "ai_websocket_bridge.lua <ws_url> <failover_ext> <domain>: run it from a dialplan, on a call")
        return
    end
    if not stream.is_stream_url(url) then return failover("stream-url") end
    local rate = url:match("[?&]rate=(%d+k?)") or stream.variable(session, "pronto_ws_rate") or stream.default_rate
    url = stated(stated(url, "dialect", stream.variable(session, "pronto_ws_dialect")), "rate", rate)
    url = stated(url, "encoding", stream.encoding)
    local outcome, reason = stream.run(session, {
        url = url,
        mix = stream.variable(session, "pronto_ws_mix") or "mono",
        rate = rate,
        token = stream.variable(session, "pronto_token"),
    })
    if outcome == "failover" then failover(reason) end
end

local fine, problem = pcall(main)
if not fine then
    stream.log("ERR", "ai_websocket_bridge.lua: " .. tostring(problem))
    pcall(failover, "script-error")
end
