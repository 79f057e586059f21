-- A recorded `freeswitch` object: what mod_lua gives a script, with a clock of its own and a script of events.
--
-- Behaviour as seen on a FreeSWITCH 1.11.3-dev: +OK before there is a connection, events that carry the channel in
-- Unique-ID, `sleep` that ends when the channel does. Every call of a script is written into `log`, in order.

local D = {}

D.uuid = "a4e5cb5c-0000-4000-8000-0123456789ab"
D.other = "ffffffff-0000-4000-8000-0123456789ab"

local function event(subclass, body, uuid)
    return {
        getHeader = function(_, name)
            if name == "Unique-ID" then return uuid or D.uuid end
            if name == "Event-Subclass" then return "mod_audio_stream::" .. subclass end
        end,
        getBody = function() return body end,
    }
end

-- world: variables, events = { {at=ms, name, body, uuid} }, hangup_at, transferred_at (by somebody else), answers
-- (API line prefix to reply), answer_fails.
function D.make(world)
    local self = {
        now = 0, log = {}, variables = world.variables or {}, ready = true, consumers = 0, lines = {}, answers = {
            ["module_exists mod_audio_stream"] = "true",
            ["uuid_audio_stream"] = "+OK Success\n",
            ["bgapi"] = "+OK Job-UUID: x\n",
        },
    }
    for prefix, answer in pairs(world.answers or {}) do self.answers[prefix] = answer end
    local function note(...) self.log[#self.log + 1] = table.concat({ ... }, " ") end
    local function over()
        if world.hangup_at and self.now >= world.hangup_at then self.ready = false end
        if world.transferred_at and self.now >= world.transferred_at then self.ready = false end
    end

    local session = {}
    function session.ready() over(); return self.ready end
    function session.get_uuid() return D.uuid end
    function session.getVariable(_, name) return self.variables[name] end
    function session.setVariable(_, name, value)
        self.variables[name] = value
        note("set", name .. "=" .. tostring(value))
    end
    function session.answer() note("answer"); if world.answer_fails then self.ready = false end end
    function session.sleep(_, ms)
        assert(self.ready, "sleep on a dead channel")
        self.now = self.now + ms
        assert(self.now < 3600000, "the script never ends")
    end
    function session.execute(_, application, data)
        note("execute", application, data or "")
        if world.execute_fails then error("execute failed") end
    end
    function session.transfer(_, extension, dialplan, context)
        note("transfer", extension, dialplan, context)
        self.ready = false
    end
    function session.hangup(_, cause)
        note("hangup", cause)
        self.ready = false
    end
    function session.setInputCallback(_, name) note("callback", name) end

    local bound = {}
    local api = {}
    function api.getTime() return string.format("%d", self.now) end
    function api.executeString(_, line)
        self.lines[#self.lines + 1] = line
        note("api", line)
        local best
        for prefix in pairs(self.answers) do
            if line:sub(1, #prefix) == prefix and (not best or #prefix > #best) then best = prefix end
        end
        local answer = best and self.answers[best] or "-ERR Command not found!\n"
        if type(answer) == "function" then return answer() end
        return answer
    end

    local switch = {}
    function switch.consoleLog(level, text) note("log", level, (text:gsub("\n$", ""))) end
    function switch.API() return api end
    function switch.EventConsumer(name, subclass)
        self.consumers = self.consumers + 1
        bound[subclass] = name == "CUSTOM"
        local consumer = {}
        function consumer.bind(_, kind, sub) bound[sub] = kind == "CUSTOM" end
        function consumer.pop(_, block)
            assert(block == 0, "a blocking pop stops the caller's audio")
            for index, due in ipairs(world.events or {}) do
                if due.at <= self.now then
                    table.remove(world.events, index)
                    assert(bound["mod_audio_stream::" .. due.name], "not bound: " .. due.name)
                    return event(due.name, due.body, due.uuid)
                end
            end
            return nil
        end
        function consumer.cleanup() self.consumers = self.consumers - 1 end
        return consumer
    end

    self.session, self.freeswitch = session, switch
    return self
end

-- Runs a script of freeswitch/scripts in a fresh global world, as mod_lua does. Returns the double.
function D.run(script, world, arguments)
    local double = D.make(world)
    local globals = setmetatable({}, { __index = _G })
    globals._G = globals
    globals.freeswitch, globals.argv = double.freeswitch, arguments or {}
    if not world.no_session then globals.session = double.session end
    globals.require = function(name)
        local module = (world.modules or {})[name]
        if module == nil then error("module '" .. name .. "' not found") end
        return module
    end
    local function load_into(path)
        local chunk, problem = loadfile(path, "t", globals)
        if not chunk then error(problem) end
        return chunk
    end
    globals.dofile = function(path) return load_into(path)() end
    load_into(D.scripts .. "/" .. script)()
    double.globals = globals
    return double
end

return D
