-- What the scripts of this folder share: one caller's audio stream to Pronto, with a human behind it.
--
-- The rule of it all: whatever happens here, the caller is never left on a dead line. Every way out that is not the end
-- of the call leads to the failover extension, and a script that cannot run at all leaves the dialplan's next line, which
-- leads there too.
--
-- Facts (measured on a FreeSWITCH 1.11.3-dev, docs/freeswitch.md): `uuid_audio_stream … start` answers +OK before there
-- is a connection, also for a dead port; the truth is the event ::connect. After ::disconnect the module's bug stays and
-- a second start fails until `stop`. `mixed` and `stereo` send nothing while nobody speaks to the caller. `stop` may
-- block for as long as the far end leaves TCP open, so it never runs on the caller's thread.
--
-- Lua 5.2, which mod_lua has; 5.1 to 5.4 will do.

local M = {}

-- From `start` to ::connect. The module itself gives up on a silent handshake after 2 s.
M.connect_timeout_ms = 5000
-- How often the events are looked at while the call goes on; the caller's audio flows meanwhile.
M.poll_ms = 100
-- After Pronto closed the stream with 1000: how long its own hang-up or transfer may take to arrive.
M.settle_ms = 1500
-- The WebSocket close code by which Pronto says that the caller is to be hung up (its own range, RFC 6455 7.4.2).
M.hang_up_code = 4000

local CONNECT = "mod_audio_stream::connect"
local DISCONNECT = "mod_audio_stream::disconnect"
local ERROR = "mod_audio_stream::error"

-- Numbers, names and addresses never go into a line of the log: it is a static sentence and a reason of ours.
function M.log(level, text)
    freeswitch.consoleLog(level, "[pronto] " .. text .. "\n")
end

-- A word that may stand in an API line: no blank, quote, backslash, control character, `${` or leading dash.
function M.is_word(text)
    return type(text) == "string" and #text > 0 and #text <= 2048
        and not text:find("[%s%c'\"\\`]") and not text:find("${", 1, true) and text:sub(1, 1) ~= "-"
end

function M.is_uuid(text)
    return type(text) == "string"
        and text:match("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$") ~= nil
end

-- What the module takes: ws or wss, a host by name or IPv4 address (it refuses [::1] and user@), no port above 65535.
function M.is_stream_url(text)
    if not M.is_word(text) then return false end
    local host, port, rest = text:match("^wss?://([%w%.%-_]+):(%d+)(.*)$")
    if not host then
        host, rest = text:match("^wss?://([%w%.%-_]+)(.*)$")
    end
    if not host then return false end
    if port and (#port > 5 or tonumber(port) < 1 or tonumber(port) > 65535) then return false end
    return rest == "" or rest:find("^[/?]") ~= nil
end

-- What may be dialed as failover: an extension of the dialplan, or one of Pronto's own names.
function M.is_extension(text)
    return type(text) == "string" and #text <= 64 and text:match("^[%w%+%*#][%w%+%*#_%.%-]*$") ~= nil
end

function M.is_context(text)
    return type(text) == "string" and #text <= 128 and text:match("^[%w][%w_%.%-]*$") ~= nil
end

-- RFC 3986, everything that is not unreserved.
function M.encoded(text)
    return (text:gsub("[^%w%-%._~]", function(c) return string.format("%%%02X", string.byte(c)) end))
end

-- What the module sends where nobody says otherwise: both its own names for a rate and Pronto's take `8k`.
M.default_rate = "8k"
-- Every build of the module sends signed 16-bit samples.
M.encoding = "l16"

-- The channel's variable, or nil where it is unset or empty.
function M.variable(session, name)
    local value = session:getVariable(name)
    if value == nil or value == "" then return nil end
    return value
end

-- Milliseconds of a clock that goes on while the thread sleeps.
local function now(api)
    return tonumber(api:getTime()) or os.time() * 1000
end

-- Reads what the module said about this channel since the last look. Returns nil, or what happened and its code.
local function look(consumer, uuid)
    local event = consumer:pop(0)
    while event do
        -- The consumer hears every call of the switch.
        if event:getHeader("Unique-ID") == uuid then
            local subclass = event:getHeader("Event-Subclass")
            if subclass == CONNECT then return "connected" end
            if subclass == DISCONNECT then
                local body = event:getBody() or ""
                return "disconnected", tonumber(body:match('"code"%s*:%s*(%d+)'))
            end
            if subclass == ERROR then
                local body = event:getBody() or ""
                return "failed", tonumber(body:match('"code"%s*:%s*(%d+)'))
            end
        end
        event = consumer:pop(0)
    end
    return nil
end

-- Sleeps while the caller's audio flows. False: the call is over, or somebody else has it now (a transfer).
local function pause(session, ms)
    if not session:ready() then return false end
    session:sleep(ms)
    return session:ready()
end

-- Streams the caller's audio to `url` until the call ends or the stream does.
--
-- options: url, mix ("mono"), rate ("8k"), metadata (no blank or quote trouble: the rest of the line), token.
-- Returns "over" (nothing is left to do: hung up or transferred), or "failover" and the reason.
function M.run(session, options)
    local api = freeswitch.API()
    if not session:ready() then return "over" end
    local uuid = session:get_uuid()
    if not M.is_uuid(uuid) then return "failover", "channel-id" end
    if not M.is_stream_url(options.url) then return "failover", "stream-url" end
    if api:executeString("module_exists mod_audio_stream") ~= "true" then
        return "failover", "mod_audio_stream-not-loaded"
    end

    -- Before the start: an event that comes while nobody listens is lost, and the connection may fail at once.
    local consumer = freeswitch.EventConsumer("CUSTOM", CONNECT)
    consumer:bind("CUSTOM", DISCONNECT)
    consumer:bind("CUSTOM", ERROR)
    -- Digits become events only when the application takes them from the channel's queue.
    session:setInputCallback("pronto_input", "")

    session:answer()
    if not session:ready() then
        consumer:cleanup()
        return "over"
    end
    -- In a header, not in the address: addresses are logged by everything that they pass.
    if options.token and M.is_word(options.token) and options.token:match("^[%w%-_:%.=]+$") then
        session:setVariable("STREAM_EXTRA_HEADERS", '{"X-Pronto-Token":"' .. options.token .. '"}')
    end

    local line = "uuid_audio_stream " .. uuid .. " start " .. options.url .. " " .. (options.mix or "mono") .. " "
        .. (options.rate or M.default_rate)
    if options.metadata then line = line .. " " .. options.metadata end
    local began = now(api)
    local reply = tostring(api:executeString(line) or "")
    if reply:sub(1, 3) ~= "+OK" then
        consumer:cleanup()
        M.log("WARNING", "the stream was refused by the module")
        return "failover", "start-refused"
    end

    local function give_up(reason)
        consumer:cleanup()
        -- Beside the caller's thread, which must not wait for the far end's TCP.
        api:executeString("bgapi uuid_audio_stream " .. uuid .. " stop")
        return "failover", reason
    end

    local connected = false
    while not connected do
        local happened, code = look(consumer, uuid)
        if happened == "connected" then
            connected = true
        elseif happened then
            return give_up("connect-failed-" .. tostring(code or 0))
        elseif now(api) - began >= M.connect_timeout_ms then
            return give_up("connect-timeout")
        elseif not pause(session, 20) then
            consumer:cleanup()
            return "over"
        end
    end
    M.log("INFO", "the stream is connected")

    while true do
        local happened, code = look(consumer, uuid)
        if happened == "disconnected" and code == M.hang_up_code then
            -- The conversation came to its end, and there is no Event Socket to hang up by.
            session:hangup("NORMAL_CLEARING")
            consumer:cleanup()
            return "over"
        elseif happened == "disconnected" and (code == 1000 or code == 1001) then
            -- Pronto ended it. With an Event Socket its hang-up or transfer is under way; without one we go on.
            local closed = now(api)
            while now(api) - closed < M.settle_ms do
                if not pause(session, M.poll_ms) then
                    consumer:cleanup()
                    return "over"
                end
            end
            return give_up("closed")
        elseif happened == "disconnected" then
            return give_up("disconnected-" .. tostring(code or 0))
        elseif happened == "failed" then
            return give_up("lost-" .. tostring(code or 0))
        elseif not happened and not pause(session, M.poll_ms) then
            consumer:cleanup()
            return "over"
        end
    end
end

-- Hands the caller to a human: cancels the dead man's switch first, so that it does not move the call a second time.
function M.fail_over(session, reason, extension, context)
    M.log("WARNING", "failover: " .. reason)
    if not session:ready() then return end
    session:setVariable("pronto_failover_reason", reason)
    session:execute("sched_cancel")
    if not (M.is_extension(extension) and M.is_context(context)) then
        -- The dialplan's next line is the failover of last resort.
        M.log("ERR", "no valid failover extension and context: the dialplan goes on")
        return
    end
    session:transfer(extension, "XML", context)
end

-- Called by mod_lua for each digit; what it returns ends nothing.
function pronto_input(_, _, _)
    return ""
end

return M
