-- Tests of freeswitch/scripts under a real Lua: lua5.2 freeswitch/tests/run.lua
--
-- Prints a line for each test and ends with status 1 when one fails.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local double = dofile(here .. "/freeswitch_double.lua")
double.scripts = here .. "/../scripts"
local uuid = double.uuid
local tenant, secretary = "96f6142d-02b1-49fa-8bcb-f98658bb831f", "dc923a2f-b88a-4a2f-8029-d6e0c06893c5"

local failures, count = 0, 0
local function test(name, body)
    count = count + 1
    local fine, problem = pcall(body)
    if not fine then failures = failures + 1 end
    print((fine and "ok    " or "FAILED") .. "  " .. name .. (fine and "" or "\n        " .. tostring(problem)))
end

local function has(log, wanted)
    for _, line in ipairs(log) do if line:find(wanted, 1, true) then return true end end
    return false
end
local function expect(log, wanted) assert(has(log, wanted), "missing: " .. wanted .. "\n" .. table.concat(log, "\n")) end
local function never(log, unwanted) assert(not has(log, unwanted), "there: " .. unwanted .. "\n" .. table.concat(log, "\n")) end
-- The one transfer that there is, at most.
local function transfers(log)
    local all = {}
    for _, line in ipairs(log) do if line:match("^transfer ") then all[#all + 1] = line end end
    return all
end
local function fails_over(run, reason, target)
    local all = transfers(run.log)
    assert(#all == 1 and all[1] == "transfer " .. target, "transfers: " .. table.concat(all, "; "))
    assert(run.variables.pronto_failover_reason == reason, "reason: " .. tostring(run.variables.pronto_failover_reason))
    -- The dead man's switch goes first, or it would move the call again.
    local cancel, move
    for index, line in ipairs(run.log) do
        if line:match("^execute sched_cancel") then cancel = index end
        if line:match("^transfer ") then move = index end
    end
    assert(cancel and cancel < move, "sched_cancel does not come before the transfer")
    assert(run.consumers == 0, "a consumer is left behind")
end

local function secretary_call(world)
    world.variables = world.variables or {}
    local defaults = {
        domain_uuid = tenant, caller_id_number = "1000", destination_number = "8000", context = "default",
    }
    for name, value in pairs(defaults) do
        if world.variables[name] == nil then world.variables[name] = value end
    end
    return double.run("voice_secretary.lua", world)
end
local function bridge_call(url, world) return double.run("ai_websocket_bridge.lua", world, { url, "2000", "demo.example" }) end
local url = "ws://127.0.0.1:8085/api/voip/ai-gateway/route?callId=" .. uuid .. "&tenantId=" .. tenant

test("voice_secretary streams mono to /stream/{domain}/{call} and stays until the caller hangs up", function()
    local run = secretary_call { events = { { at = 40, name = "connect", body = "{}" } }, hangup_at = 60000 }
    expect(run.log, "api uuid_audio_stream " .. uuid .. " start ws://127.0.0.1:8085/stream/" .. tenant .. "/" .. uuid)
    expect(run.lines, " mono 8k")
    -- What is started and what is stated are the same, without a word from the dialplan too.
    expect(run.lines, "?caller=1000&did=8000&rate=8k&encoding=l16 mono 8k")
    assert(#transfers(run.log) == 0 and run.now >= 60000 and run.consumers == 0)
end)

test("the dialect, rate and secretary of the dialplan are stated, and a base ending in slashes is one", function()
    local run = secretary_call {
        variables = {
            secretary_uuid = secretary, pronto_ws_base = "wss://pronto.example//", pronto_ws_rate = "16k",
            pronto_ws_dialect = "mod-audio-stream",
        }, events = { { at = 0, name = "connect" } }, hangup_at = 200,
    }
    expect(run.lines, "start wss://pronto.example/stream/" .. tenant .. "/" .. uuid
        .. "?caller=1000&did=8000&aiAgentRef=" .. secretary .. "&dialect=mod-audio-stream&rate=16k&encoding=l16 mono 16k")
end)

test("+OK proves nothing: without ::connect within 5 s the caller goes to the failover", function()
    local run = secretary_call { events = {} }
    fails_over(run, "connect-timeout", "pronto_failover XML default")
    assert(run.now >= 5000 and run.now < 5200, "after " .. run.now .. " ms")
    expect(run.lines, "bgapi uuid_audio_stream " .. uuid .. " stop")
end)

test("another call's ::connect is not ours", function()
    local run = secretary_call { events = { { at = 10, name = "connect", uuid = double.other } } }
    fails_over(run, "connect-timeout", "pronto_failover XML default")
end)

test("an error before the connection fails over at once", function()
    local run = bridge_call(url, { events = { { at = 20, name = "error", body = '{"status":"error","message":{"code":6}}' } } })
    fails_over(run, "connect-failed-6", "2000 XML demo.example")
    assert(run.now < 200)
end)

test("a start that the module refuses fails over", function()
    local run = bridge_call(url, { answers = { ["uuid_audio_stream"] = "-ERR Operation Failed\n" } })
    fails_over(run, "start-refused", "2000 XML demo.example")
end)

test("a missing module fails over before the call is answered", function()
    local run = bridge_call(url, { answers = { ["module_exists mod_audio_stream"] = "false" } })
    fails_over(run, "mod_audio_stream-not-loaded", "2000 XML demo.example")
    never(run.log, "answer")
end)

for _, drop in ipairs {
    { "error", '{"status":"error","message":{"code":1,"error":"x"}}', "lost-1" },
    { "disconnect", '{"status":"disconnected","message":{"code":1011,"reason":""}}', "disconnected-1011" },
    { "disconnect", nil, "disconnected-0" },
} do
    test("a stream that drops in mid-call fails over: " .. drop[3], function()
        local run = bridge_call(url, {
            events = { { at = 30, name = "connect" }, { at = 9000, name = drop[1], body = drop[2] } },
        })
        fails_over(run, drop[3], "2000 XML demo.example")
        assert(run.now >= 9000 and run.now <= 9200)
        expect(run.lines, "bgapi uuid_audio_stream " .. uuid .. " stop")
    end)
end

test("a drop that comes together with the connection is not lost", function()
    local run = bridge_call(url, { events = { { at = 30, name = "connect" }, { at = 30, name = "error", body = '{"code":1}' } } })
    fails_over(run, "lost-1", "2000 XML demo.example")
end)

test("the bridge states the dialplan's format where the address does not, and only there", function()
    local variables = { pronto_ws_dialect = "mod-audio-stream", pronto_ws_rate = "16k" }
    local function line(address, set) return bridge_call(address, { variables = set or variables, hangup_at = 100 }).lines end
    expect(line(url), url .. "&dialect=mod-audio-stream&rate=16k&encoding=l16 mono 16k")
    expect(line("ws://h/x"), "ws://h/x?dialect=mod-audio-stream&rate=16k&encoding=l16 mono 16k")
    expect(line(url .. "&rate=8k&dialect=x&encoding=l16"), url .. "&rate=8k&dialect=x&encoding=l16 mono 8k")
    -- Without a word from the dialplan what is started is stated all the same.
    expect(line(url, {}), url .. "&rate=8k&encoding=l16 mono 8k")
end)

local closed = '{"status":"disconnected","message":{"code":1000,"reason":"call ended"}}'
test("Pronto's own end waits for its hang-up or transfer", function()
    local run = bridge_call(url, {
        events = { { at = 30, name = "connect" }, { at = 5000, name = "disconnect", body = closed } }, transferred_at = 5600,
    })
    assert(#transfers(run.log) == 0 and run.consumers == 0)
end)

test("Pronto's own end without an Event Socket goes on to the failover", function()
    local run = bridge_call(url, { events = { { at = 30, name = "connect" }, { at = 5000, name = "disconnect", body = closed } } })
    fails_over(run, "closed", "2000 XML demo.example")
    assert(run.now >= 6500 and run.now < 6800)
end)

test("a conversation that came to its end is hung up without an Event Socket too", function()
    local over = '{"status":"disconnected","message":{"code":4000,"reason":"hang up"}}'
    local run = bridge_call(url, { events = { { at = 30, name = "connect" }, { at = 5000, name = "disconnect", body = over } } })
    assert(#transfers(run.log) == 0 and run.consumers == 0)
    expect(run.log, "hangup NORMAL_CLEARING")
end)

test("a transfer by somebody else ends the script and nothing more", function()
    local run = secretary_call { events = { { at = 30, name = "connect" } }, transferred_at = 3000 }
    assert(#transfers(run.log) == 0 and run.consumers == 0)
    never(run.lines, "stop")
end)

test("the caller hangs up while connecting, or before the answer", function()
    local run = secretary_call { hangup_at = 100 }
    assert(#transfers(run.log) == 0 and run.consumers == 0)
    run = secretary_call { answer_fails = true }
    assert(#transfers(run.log) == 0 and run.consumers == 0)
    run = secretary_call { hangup_at = 0 }
    assert(#run.lines == 0)
end)

test("a token travels in a header, and one that could be more than a token does not travel", function()
    local run = secretary_call { variables = { pronto_token = "pt1:k1:a:b:-:1:2:Zm9v_-=" }, hangup_at = 100 }
    expect(run.log, 'set STREAM_EXTRA_HEADERS={"X-Pronto-Token":"pt1:k1:a:b:-:1:2:Zm9v_-="}')
    run = secretary_call { variables = { pronto_token = 'x"}, "X-Evil": "1' }, hangup_at = 100 }
    never(run.log, "STREAM_EXTRA_HEADERS")
end)

for name, hostile in pairs {
    blank = "ws://127.0.0.1:8085/a b", line = "ws://127.0.0.1/\nuuid_kill x", scheme = "http://127.0.0.1/",
    user = "ws://a:b@127.0.0.1/", ipv6 = "ws://[::1]:8085/", port = "ws://127.0.0.1:99999/", expand = "ws://h/${system(x)}",
    quote = "ws://h/'x'", empty = "", longer = "ws://h/" .. ("a"):rep(3000), nothing = "ws://",
} do
    test("an address that the module or the API line would misread fails over: " .. name, function()
        local run = bridge_call(hostile, {})
        fails_over(run, "stream-url", "2000 XML demo.example")
        never(run.log, "start")
        never(run.log, "answer")
    end)
end

test("ids that are no UUIDs never reach the address", function()
    fails_over(secretary_call { variables = { domain_uuid = "../../x" } }, "domain_uuid-is-no-uuid", "pronto_failover XML default")
    fails_over(secretary_call { variables = { secretary_uuid = "1 start ws://evil" } }, "secretary_uuid-is-no-uuid", "pronto_failover XML default")
    fails_over(secretary_call { variables = { domain_uuid = "" } }, "domain_uuid-unset", "pronto_failover XML default")
end)

test("what a caller calls himself is encoded and cut, and never a word of its own", function()
    local run = secretary_call {
        variables = { caller_id_number = 'a b&did=9\r\nuuid_kill "x" ' .. ("é"):rep(100) }, hangup_at = 100,
    }
    local line
    for _, each in ipairs(run.lines) do if each:find(" start ", 1, true) then line = each end end
    assert(line and not line:find("[\r\n\"]") and line:find("caller=a%20b%26did%3D9%0D%0Auuid_kill", 1, true), line)
    local words = 0
    for _ in line:gmatch("%S+") do words = words + 1 end
    assert(words == 6, line)
end)

test("without a valid failover the dialplan's next line serves the caller", function()
    local run = double.run("ai_websocket_bridge.lua", {}, { "bad", "2000 XML x", "demo.example" })
    assert(#transfers(run.log) == 0)
    expect(run.log, "the dialplan goes on")
    run = double.run("ai_websocket_bridge.lua", { variables = {} }, { "bad", "2000" })
    assert(#transfers(run.log) == 0)
end)

test("an error in the script itself fails over", function()
    local run = secretary_call { answers = { ["uuid_audio_stream"] = function() error("boom") end } }
    assert(transfers(run.log)[1] == "transfer pronto_failover XML default")
    expect(run.log, "log ERR")
end)

test("nothing that a caller says, dials or pays for is in the log", function()
    local run = secretary_call {
        variables = { caller_id_number = "390612345678", destination_number = "5406594427", pronto_token = "pt1:secret" },
        events = { { at = 20, name = "connect" }, { at = 90, name = "error", body = "{}" } },
    }
    for _, line in ipairs(run.log) do
        if line:match("^log ") then
            assert(not line:find("390612345678", 1, true) and not line:find("5406594427", 1, true)
                and not line:find("secret", 1, true), line)
        end
    end
end)

test("without a call the scripts say so and do nothing", function()
    local run = double.run("ai_websocket_bridge.lua", { no_session = true }, { url, "2000", "demo.example" })
    expect(run.log, "run it from a dialplan")
    for _, name in ipairs { "voice_secretary.lua", "ai_routing.lua", "get_secretary_mode.lua" } do
        assert(#double.run(name, { no_session = true }).log == 0)
    end
end)

local function routed(data, code)
    local run = double.run("ai_routing.lua", { variables = { curl_response_code = code or "200", curl_response_data = data, pronto_failover_ext = "2000" } })
    return run.variables, run
end

test("ai_routing: AI with everything", function()
    local v = routed("AI_ENABLED=true\r\nFAILOVER_EXT=2001\nWS_URL=" .. url .. "\nREASON=AI active\nTOKEN=pt1:k:x\n")
    assert(v.pronto_ai_enabled == "true" and v.pronto_ws_url == url and v.pronto_failover_ext == "2001" and v.pronto_token == "pt1:k:x")
end)

test("ai_routing: what kind of failover it is, where it is known and its number is one", function()
    for _, kind in ipairs { "ext", "ring", "queue", "vm" } do
        local v = routed("AI_ENABLED=false\nFAILOVER_EXT=ring_store01\nFAILOVER_TYPE=" .. kind .. "\nREASON=out_of_hours")
        assert(v.pronto_failover_ext == "ring_store01" and v.pronto_failover_type == kind, tostring(v.pronto_failover_type))
    end
    assert(routed("AI_ENABLED=false\nFAILOVER_EXT=2001\nFAILOVER_TYPE=${system(x)}").pronto_failover_type == "ext")
    assert(routed("AI_ENABLED=false\nFAILOVER_EXT=2001").pronto_failover_type == "ext")
    -- A kind without its number would make another number into it.
    local v = routed("AI_ENABLED=false\nFAILOVER_EXT=a b\nFAILOVER_TYPE=vm")
    assert(v.pronto_failover_ext == "2000" and v.pronto_failover_type == nil)
end)

test("ai_routing: the row and the tenant reach the channel, and nothing that is no id", function()
    local route = "3f0c2f3e-0000-4000-8000-00000000abcd"
    local yes = "AI_ENABLED=true\nWS_URL=" .. url .. "\n"
    local v = routed(yes .. "TENANT=" .. tenant .. "\nROUTE=" .. route .. "\n")
    assert(v.pronto_route == route and v.domain_uuid == tenant)
    v = routed(yes .. "TENANT=" .. tenant .. "x\nROUTE=" .. route:gsub("f", "g") .. "\n")
    assert(v.pronto_route == nil and v.domain_uuid == nil)
    v = routed("AI_ENABLED=false\nROUTE=" .. route .. "\nTENANT=" .. tenant .. "\n")
    assert(v.pronto_route == nil and v.domain_uuid == nil)
    local run = double.run("ai_routing.lua", { variables = {
        curl_response_code = "200", curl_response_data = yes .. "TENANT=" .. tenant .. "\n", domain_uuid = secretary } })
    assert(run.variables.domain_uuid == secretary)
end)

test("ai_routing: a value may hold an equals sign, and the first of two counts", function()
    local v = routed("AI_ENABLED=true\nWS_URL=" .. url .. "\nAI_ENABLED=false\nWS_URL=ws://evil/")
    assert(v.pronto_ai_enabled == "true" and v.pronto_ws_url == url)
end)

for name, case in pairs {
    ["off"] = { "AI_ENABLED=false\nFAILOVER_EXT=2005\nREASON=out of hours", nil, "out-of-hours", "2005" },
    ["no answer"] = { nil, "", "no-answer", "2000" },
    ["a 500"] = { "AI_ENABLED=true\nWS_URL=ws://h/", "500", "http-500", "2000" },
    ["an empty body"] = { "", nil, "not-enabled", "2000" },
    ["a page of HTML"] = { "<html>AI_ENABLED=true</html>", nil, "not-enabled", "2000" },
    ["no address"] = { "AI_ENABLED=true", nil, "stream-url", "2000" },
    ["a hostile address"] = { "AI_ENABLED=true\nWS_URL=ws://h/ x\nFAILOVER_EXT=2000 XML y", nil, "stream-url", "2000" },
    ["a flood"] = { "AI_ENABLED=true\nWS_URL=ws://h/\n" .. ("x"):rep(9000), nil, "not-enabled", "2000" },
} do
    test("ai_routing: no AI for " .. name, function()
        local v = routed(case[1], case[2])
        assert(v.pronto_ai_enabled == "false" and v.pronto_ws_url == nil, tostring(v.pronto_ai_enabled))
        assert(v.pronto_ai_reason == case[3], tostring(v.pronto_ai_reason))
        assert(v.pronto_failover_ext == case[4], tostring(v.pronto_failover_ext))
    end)
end

local function mode(rows, variables)
    local asked = {}
    local database = {
        new = function(kind)
            assert(kind == "system")
            return {
                query = function(_, sql, parameters, each)
                    asked.sql, asked.parameters = sql, parameters
                    for _, row in ipairs(rows) do each(row) end
                end,
                release = function() asked.released = true end,
            }
        end,
    }
    variables = variables or { domain_uuid = tenant, secretary_uuid = secretary }
    local run = double.run("get_secretary_mode.lua", {
        variables = variables, modules = { ["resources.functions.config"] = {}, ["resources.functions.database"] = database },
    })
    return run.variables.secretary_mode, asked, run
end

test("get_secretary_mode reads FusionPBX's row, and auto means realtime", function()
    local found, asked = mode { { processing_mode = "turn_based" } }
    assert(found == "turn_based" and asked.released and asked.parameters.domain_uuid == tenant)
    assert(not asked.sql:find(tenant, 1, true), "a value stands in the SQL text")
    assert(mode { { processing_mode = "auto" } } == "realtime")
    assert(mode { { processing_mode = "realtime" } } == "realtime")
end)

test("get_secretary_mode finds the secretary by the dialed extension, inside the domain", function()
    local _, asked = mode({ { processing_mode = "realtime" } }, { domain_uuid = tenant, destination_number = "8000' or 1=1" })
    assert(asked.parameters.extension == "8000' or 1=1" and asked.sql:find("extension = :extension", 1, true))
end)

test("get_secretary_mode stands by its default without a row, a database, or a sensible mode", function()
    assert(mode {} == "realtime")
    assert(mode { { processing_mode = "interpretive dance" } } == "realtime")
    assert(mode({}, { domain_uuid = tenant, destination_number = "8000", pronto_default_mode = "turn_based" }) == "turn_based")
    local run = double.run("get_secretary_mode.lua", { variables = { domain_uuid = tenant, secretary_uuid = secretary } })
    assert(run.variables.secretary_mode == "realtime")
end)

print(string.format("%d tests, %d failed (%s)", count, failures, _VERSION))
os.exit(failures == 0 and 0 or 1)
