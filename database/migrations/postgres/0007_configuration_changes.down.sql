-- Takes its triggers along, from every table that has them.
DROP FUNCTION pronto_changed() CASCADE;
DROP FUNCTION pronto_watch(regclass);
DROP FUNCTION pronto_one_switch() CASCADE;
