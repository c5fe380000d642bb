-- tarana_base_stations: created if it is missing, completed if it is older. An existing table keeps its rows, indexes,
-- policies and owner.
--
-- Each step checks the catalog first. `ADD COLUMN IF NOT EXISTS` requires ownership of the table even if no column is
-- missing, and a complete table may have another owner.
DO $$
DECLARE
    postgis text := (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                     WHERE e.extname = 'postgis');
BEGIN
    IF to_regclass('tarana_base_stations') IS NOT NULL THEN
        RETURN;
    END IF;
    CREATE TABLE tarana_base_stations (
        id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        serial_number      text NOT NULL UNIQUE,
        hostname           text NOT NULL,
        site_name          text NOT NULL,
        active_connections int DEFAULT 0,
        market             text,
        lat                numeric(10, 6) NOT NULL,
        lng                numeric(10, 6) NOT NULL,
        region             text DEFAULT 'South Africa',
        last_updated       timestamptz DEFAULT now(),
        created_at         timestamptz DEFAULT now()
    );
    -- The owner decides about extensions: the point is added if PostGIS is installed, in any schema.
    IF postgis IS NOT NULL THEN
        EXECUTE format(
            'ALTER TABLE tarana_base_stations ADD COLUMN location %1$I.geography(Point, 4326) GENERATED ALWAYS AS
             (%1$I.st_setsrid(%1$I.st_makepoint(lng::float8, lat::float8), 4326)::%1$I.geography) STORED', postgis);
    END IF;
    -- Everybody may read; only the owner, who is not subject to policies, may write.
    ALTER TABLE tarana_base_stations ENABLE ROW LEVEL SECURITY;
    CREATE POLICY "Base stations are public" ON tarana_base_stations FOR SELECT USING (true);
END
$$;

-- The columns that an older deployment lacks, and the remaining columns of a new table.
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            ('height_m', 'numeric(8, 2)'),      -- above sea level
            ('azimuth_deg', 'numeric(5, 2)'),
            ('band', 'text'),
            ('device_status', 'int DEFAULT 0'), -- 1 online, 0 offline
            ('region_id', 'int'),
            ('market_id', 'int'),
            ('site_id', 'int'),
            ('cell_id', 'int'),
            ('sector_id', 'int'),
            ('cell_name', 'text'),
            ('sector_name', 'text'),
            ('network_profile_id', 'int'),      -- never written by a sync
            ('bandwidth_mhz', 'int')            -- never written by a sync
        ) AS columns (name, type)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'tarana_base_stations'::regclass
                       AND attname = wanted.name AND NOT attisdropped) THEN
            EXECUTE format('ALTER TABLE tarana_base_stations ADD COLUMN %I %s', wanted.name, wanted.type);
        END IF;
    END LOOP;
END
$$;
