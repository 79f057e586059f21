-- ai_routing.lua: reads the answer of /api/freeswitch/ai-routing (KEY=value lines) that `curl` left on the channel, and
-- writes it down as variables that the next extension's condition sees.
--
--   <action application="set" data="curl_timeout=1" inline="true"/>
--   <action application="curl" data="http://127.0.0.1:8100/api/freeswitch/ai-routing?… get" inline="true"/>
--   <action application="lua" data="ai_routing.lua" inline="true"/>
--
-- All inline: conditions are matched before ordinary actions run, so an answer that comes by an ordinary action comes
-- too late to choose anything. (The application `curl` takes its timeout from the variable; the words `timeout 1` are
-- the API's.) An answer of "0" is curl's for none at all. Sets pronto_ai_enabled (true or false), pronto_ws_url, pronto_token, pronto_ai_reason,
-- pronto_route (the row that decided; `socket` and `park` read it), domain_uuid where the channel has none,
-- and pronto_failover_ext with pronto_failover_type (ext, ring, queue or vm: what the dialplan's pronto_failover does with
-- it) where the answer has a valid one. Everything that is missing, late or odd means: no AI.

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
local stream = dofile(here .. "/pronto_stream.lua")

local function parsed(text)
    local values = {}
    -- Longer than any answer of ours: not ours.
    if #text > 8192 then return values end
    for line in text:gmatch("[^\r\n]+") do
        local key, value = line:match("^%s*([%u_]+)=(.-)%s*$")
        -- The first one counts: a second would be somebody's addition.
        if key and values[key] == nil then values[key] = value end
    end
    return values
end

local function is_uuid(text)
    return text ~= nil and #text == 36 and text:match("^%x+%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x+$") ~= nil
end

-- What the number of a failover is; another word is an extension, as an answer without one.
local kinds = { ext = true, ring = true, queue = true, vm = true }

local function decide()
    local code = stream.variable(session, "curl_response_code")
    if code == "0" then return false, "no-answer" end
    if code ~= "200" then return false, code and ("http-" .. code:gsub("%W", "")) or "no-answer" end
    local answer = parsed(stream.variable(session, "curl_response_data") or "")
    if stream.is_extension(answer.FAILOVER_EXT) then
        session:setVariable("pronto_failover_ext", answer.FAILOVER_EXT)
        session:setVariable("pronto_failover_type", kinds[answer.FAILOVER_TYPE] and answer.FAILOVER_TYPE or "ext")
    end
    if answer.AI_ENABLED ~= "true" then
        return false, (answer.REASON or "not-enabled"):gsub("[^%w%-_]", "-"):sub(1, 64)
    end
    if not stream.is_stream_url(answer.WS_URL) then return false, "stream-url" end
    session:setVariable("pronto_ws_url", answer.WS_URL)
    if answer.TOKEN and answer.TOKEN:match("^[%w%-_:%.=]+$") then session:setVariable("pronto_token", answer.TOKEN) end
    if is_uuid(answer.ROUTE) then session:setVariable("pronto_route", answer.ROUTE) end
    -- A call from a carrier has no domain yet; one that the dialplan has stated stays.
    if is_uuid(answer.TENANT) and stream.variable(session, "domain_uuid") == nil then
        session:setVariable("domain_uuid", answer.TENANT)
    end
    return true, "enabled"
end

if session then
    local fine, enabled, reason = pcall(decide)
    if not fine then
        stream.log("ERR", "ai_routing.lua: " .. tostring(enabled))
        enabled, reason = false, "script-error"
    end
    session:setVariable("pronto_ai_enabled", enabled and "true" or "false")
    session:setVariable("pronto_ai_reason", reason)
    stream.log("INFO", "AI routing: " .. (enabled and "AI" or "human") .. " (" .. reason .. ")")
end
