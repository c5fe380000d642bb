-- The database role of an operator that only runs (`--migrate=false`), with what it needs and nothing else. Run by the
-- owner of the tables or a superuser, after the migrations, and again after each upgrade:
--
--   psql "$URL" -v role=tarana_operator -v schema=public -f migrations/roles/operator.sql
--
-- The role gets no password here: `\password tarana_operator` in psql.
BEGIN;
SELECT set_config('tarana.role', :'role', true);
DO $$
DECLARE
    role text := current_setting('tarana.role');
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
        EXECUTE format('CREATE ROLE %I LOGIN', role);
    END IF;
    -- PostgreSQL lets everybody connect, and many a database does not.
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
END
$$;
SET LOCAL search_path TO :"schema";
GRANT USAGE ON SCHEMA :"schema" TO :"role";

GRANT SELECT ON tarana_migrations TO :"role";
-- What a sync never writes (id, created_at, location, network_profile_id, bandwidth_mhz) it may not write either, and
-- a serial is never changed. The lock on the table that Apply takes comes with DELETE.
GRANT SELECT, DELETE,
    INSERT (serial_number, hostname, site_name, active_connections, market, lat, lng, region, height_m, azimuth_deg,
            band, device_status, region_id, market_id, site_id, cell_id, sector_id, cell_name, sector_name,
            last_updated),
    UPDATE (hostname, site_name, active_connections, market, lat, lng, region, height_m, azimuth_deg,
            band, device_status, region_id, market_id, site_id, cell_id, sector_id, cell_name, sector_name,
            last_updated)
    ON tarana_base_stations TO :"role";
GRANT SELECT, INSERT, UPDATE ON tarana_sync_logs TO :"role";
GRANT INSERT ON tarana_sync_change_batches TO :"role";
GRANT SELECT, INSERT, UPDATE (delivered_at) ON tarana_sync_outbox TO :"role";

-- Where row-level security is on, a grant shows no row without a policy. Where it is off, these wait.
DROP POLICY IF EXISTS :"role" ON tarana_migrations;
CREATE POLICY :"role" ON tarana_migrations FOR SELECT TO :"role" USING (true);
DROP POLICY IF EXISTS :"role" ON tarana_base_stations;
CREATE POLICY :"role" ON tarana_base_stations TO :"role" USING (true) WITH CHECK (true);
DROP POLICY IF EXISTS :"role" ON tarana_sync_logs;
CREATE POLICY :"role" ON tarana_sync_logs TO :"role" USING (true) WITH CHECK (true);
DROP POLICY IF EXISTS :"role" ON tarana_sync_change_batches;
CREATE POLICY :"role" ON tarana_sync_change_batches FOR INSERT TO :"role" WITH CHECK (true);
DROP POLICY IF EXISTS :"role" ON tarana_sync_outbox;
CREATE POLICY :"role" ON tarana_sync_outbox TO :"role" USING (true) WITH CHECK (true);
COMMIT;
