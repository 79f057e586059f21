-- voice_secretary.lua: answers and streams the caller to Pronto, as documents 3 and 4 have it.
--
--   <action application="lua" data="voice_secretary.lua"/>
--   <action application="transfer" data="pronto_failover XML ${context}"/>
--
-- Channel variables (the dialplan sets them; only the first is required):
--   domain_uuid             the tenant; or secretary_uuid alone
--   secretary_uuid          the assistant, where the tenant has several
--   pronto_ws_base          ws://127.0.0.1:8085
--   pronto_ws_dialect       mod-audio-stream, mod-audio-stream-fork, binary-down: which module this switch has
--   pronto_ws_rate          8k (the fork) or 16k
--   pronto_ws_mix           mono. `mixed` and `stereo` send nothing on a silent channel
--   pronto_token            a stream token, where Pronto is not on this machine
--   pronto_failover         the extension that serves the caller when Pronto does not: pronto_failover
--   pronto_failover_context its context; otherwise the call's own

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
local stream = dofile(here .. "/pronto_stream.lua")

local function failover(reason)
    local context = stream.variable(session, "pronto_failover_context") or stream.variable(session, "context")
    stream.fail_over(session, reason, stream.variable(session, "pronto_failover") or "pronto_failover", context)
end

-- The address, or nil and what is wrong with what it would be made of. The format is stated: what the gateway would
-- otherwise take is its own default, and the sound noise where the two differ.
local function address(rate)
    local tenant, secretary = stream.variable(session, "domain_uuid"), stream.variable(session, "secretary_uuid")
    if tenant and not stream.is_uuid(tenant) then return nil, "domain_uuid-is-no-uuid" end
    if secretary and not stream.is_uuid(secretary) then return nil, "secretary_uuid-is-no-uuid" end
    if not (tenant or secretary) then return nil, "domain_uuid-unset" end
    local base = stream.variable(session, "pronto_ws_base") or "ws://127.0.0.1:8085"
    local url = base:gsub("/+$", "") .. "/stream/" .. (tenant or secretary) .. "/" .. session:get_uuid()
    local query = {}
    local function add(key, value)
        if value then query[#query + 1] = key .. "=" .. stream.encoded(value) end
    end
    -- At most 64 bytes: Pronto refuses more, and a caller's name for himself must not cost the call.
    local caller, dialed = stream.variable(session, "caller_id_number"), stream.variable(session, "destination_number")
    add("caller", caller and caller:sub(1, 64))
    add("did", dialed and dialed:sub(1, 64))
    if tenant then add("aiAgentRef", secretary) end
    add("dialect", stream.variable(session, "pronto_ws_dialect"))
    add("rate", rate)
    add("encoding", stream.encoding)
    return url .. "?" .. table.concat(query, "&")
end

local function main()
    if not session or not session:ready() then return end
    local rate = stream.variable(session, "pronto_ws_rate") or stream.default_rate
    local url, wrong = address(rate)
    if not url then return failover(wrong) end
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
    stream.log("ERR", "voice_secretary.lua: " .. tostring(problem))
    pcall(failover, "script-error")
end
