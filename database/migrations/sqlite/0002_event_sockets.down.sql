DROP TABLE v_voice_event_sockets;
