-- The database role for migrations: of `tarana-operator migrate`, or of an operator that migrates. Run this as a superuser
-- before the first migration:
--
--   psql "$URL" -v role=tarana_owner -v schema=public -f migrations/roles/owner.sql
--
-- It owns the tables that the migrations create. It must own the existing tables that they change: tarana_sync_logs, and
-- tarana_base_stations if columns are missing. On a table with another owner, an operator with this role also needs the
-- privileges of operator.sql. The role has no password: set it with `\password tarana_owner`.
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
        -- The new table references it, and its policy reads it.
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
