-- get_secretary_mode.lua: how the secretary of this call works, for a dialplan that chooses by it.
--
--   <action application="lua" data="get_secretary_mode.lua" inline="true"/>
--   … <condition field="${secretary_mode}" expression="^realtime$"> …
--
-- Reads `processing_mode` of v_voice_secretaries through FusionPBX's own database class and sets the channel variable
-- secretary_mode: realtime (`auto` means that too) or turn_based (an older system's, which Pronto does not serve). The
-- secretary is secretary_uuid, else the one of domain_uuid whose extension was dialed. Where there is no FusionPBX, no
-- database or no such secretary, pronto_default_mode or `realtime` stands: a missing row must not cost a call.

local function log(level, text) freeswitch.consoleLog(level, "[pronto] " .. text .. "\n") end

local function variable(name)
    local value = session:getVariable(name)
    if value == nil or value == "" then return nil end
    return value
end

local function is_uuid(text) return text ~= nil and #text == 36 and text:match("^[%x%-]+$") ~= nil end

local function from_database()
    local domain, secretary = variable("domain_uuid"), variable("secretary_uuid")
    local dialed = variable("destination_number")
    if not is_uuid(domain) then return nil, "domain_uuid is unset" end
    require "resources.functions.config"
    local database = require("resources.functions.database").new("system")
    local sql = "select processing_mode from v_voice_secretaries where domain_uuid = :domain_uuid"
    local parameters = { domain_uuid = domain }
    if is_uuid(secretary) then
        sql = sql .. " and voice_secretary_uuid = :secretary_uuid"
        parameters.secretary_uuid = secretary
    elseif dialed then
        sql = sql .. " and extension = :extension"
        parameters.extension = dialed
    else
        return nil, "neither secretary_uuid nor a dialed number"
    end
    local mode
    database:query(sql .. " limit 1", parameters, function(row) mode = row.processing_mode end)
    database:release()
    return mode, "no such secretary"
end

if session then
    local fine, mode, why = pcall(from_database)
    if not fine then
        -- The error's text may hold the database's address; which script it is says enough.
        mode, why = nil, "FusionPBX's database class is not there, or does not answer"
    end
    if mode == "auto" then mode = "realtime" end
    if mode ~= "realtime" and mode ~= "turn_based" then
        local default = variable("pronto_default_mode")
        log("NOTICE", "get_secretary_mode.lua: the default stands: " .. (why or "an unknown mode"))
        mode = (default == "turn_based") and "turn_based" or "realtime"
    end
    session:setVariable("secretary_mode", mode)
end
