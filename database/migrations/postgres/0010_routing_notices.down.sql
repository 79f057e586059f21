-- Takes its triggers along.
DROP FUNCTION pronto_routing_changed() CASCADE;
