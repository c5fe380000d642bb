-- The database role of whoever migrates: `tarana-operator migrate`, or an operator that does so by itself. Run by a
-- superuser, before the first migration:
--
--   psql "$URL" -v role=tarana_owner -v schema=public -f migrations/roles/owner.sql
--
-- It owns what the migrations make. Of tables that exist it must own those that they change: tarana_sync_logs, and
-- tarana_base_stations where that is older and lacks columns. On one that somebody else owns, an operator that works
-- under this role needs the rights of operator.sql as well. The role gets no password here: `\password tarana_owner`.
\set ON_ERROR_STOP on
\if :{?role}
\else
\set role tarana_owner
\endif
\if :{?schema}
\else
\set schema public
\endif
BEGIN;
SELECT set_config('tarana.role', :'role', true), set_config('search_path', quote_ident(:'schema'), true) \gset
DO $$
DECLARE
    role text := current_setting('tarana.role');
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
        EXECUTE format('CREATE ROLE %I LOGIN', role);
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
END
$$;
GRANT USAGE, CREATE ON SCHEMA :"schema" TO :"role";
DO $$
DECLARE
    role text := current_setting('tarana.role');
BEGIN
    IF to_regclass('tarana_sync_logs') IS NOT NULL THEN
        EXECUTE format('ALTER TABLE tarana_sync_logs OWNER TO %I', role);
    ELSIF to_regclass('admin_users') IS NOT NULL THEN
        -- The new table refers to it, and its policy asks it.
        EXECUTE format('GRANT REFERENCES (id) ON admin_users TO %I', role);
    END IF;
    IF to_regclass('tarana_base_stations') IS NOT NULL AND (
        SELECT count(*) < 13 FROM pg_attribute WHERE attrelid = to_regclass('tarana_base_stations') AND NOT attisdropped
        AND attname IN ('height_m', 'azimuth_deg', 'band', 'device_status', 'region_id', 'market_id', 'site_id',
                        'cell_id', 'sector_id', 'cell_name', 'sector_name', 'network_profile_id', 'bandwidth_mhz'))
    THEN
        EXECUTE format('ALTER TABLE tarana_base_stations OWNER TO %I', role);
    END IF;
END
$$;
COMMIT;
