DROP TABLE voip_activity_log;
DROP TABLE voip_trunk_ai_settings;
DROP TABLE voip_ai_calendar_dates;
DROP TABLE voip_ai_calendars;
DROP TABLE ai_agents;
DROP TABLE voip_ai_tenants;
