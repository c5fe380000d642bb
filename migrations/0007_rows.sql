-- A batch of inserts or deletes stores its rows as one array per column, written by the same statement as the stations.
-- JSON, which repeats the column names in each row, took as long as the stations themselves (see src/store/README.md,
-- "Speed"). The columns are those of src/store/columns.rs. Updates, and batches of older operators, are JSON in `changes`;
-- the view shows both forms alike.
ALTER TABLE tarana_sync_change_batches
    ALTER COLUMN changes DROP NOT NULL,
    ADD COLUMN serial_number      text[],
    ADD COLUMN hostname           text[],
    ADD COLUMN site_name          text[],
    ADD COLUMN active_connections int[],
    ADD COLUMN market             text[],
    ADD COLUMN lat                numeric[],
    ADD COLUMN lng                numeric[],
    ADD COLUMN region             text[],
    ADD COLUMN height_m           numeric[],
    ADD COLUMN azimuth_deg        numeric[],
    ADD COLUMN band               text[],
    ADD COLUMN device_status      int[],
    ADD COLUMN region_id          int[],
    ADD COLUMN market_id          int[],
    ADD COLUMN site_id            int[],
    ADD COLUMN cell_id            int[],
    ADD COLUMN sector_id          int[],
    ADD COLUMN cell_name          text[],
    ADD COLUMN sector_name        text[],
    ADD CONSTRAINT tarana_sync_change_batches_one_form CHECK ((changes IS NULL) <> (serial_number IS NULL));

CREATE OR REPLACE VIEW tarana_sync_changes AS
    SELECT b.run, (b.first + c.position - 1)::int AS seq, c.change ->> 'serial' AS serial, b.op,
           c.change -> 'before' AS before, c.change -> 'after' AS after, b.applied
    FROM tarana_sync_change_batches b, json_array_elements(b.changes) WITH ORDINALITY AS c (change, position)
    UNION ALL
    SELECT b.run, (b.first + r.position - 1)::int, r.serial_number, b.op,
           CASE WHEN b.op = 'delete' THEN w.whole END, CASE WHEN b.op = 'insert' THEN w.whole END, b.applied
    FROM tarana_sync_change_batches b,
         unnest(b.serial_number, b.hostname, b.site_name, b.active_connections, b.market, b.lat, b.lng, b.region,
                b.height_m, b.azimuth_deg, b.band, b.device_status, b.region_id, b.market_id, b.site_id, b.cell_id,
                b.sector_id, b.cell_name, b.sector_name) WITH ORDINALITY
             AS r (serial_number, hostname, site_name, active_connections, market, lat, lng, region,
                   height_m, azimuth_deg, band, device_status, region_id, market_id, site_id, cell_id,
                   sector_id, cell_name, sector_name, position),
         LATERAL (SELECT json_build_object(
             'serial_number', r.serial_number, 'hostname', r.hostname, 'site_name', r.site_name,
             'active_connections', r.active_connections, 'market', r.market, 'lat', r.lat, 'lng', r.lng,
             'region', r.region, 'height_m', r.height_m, 'azimuth_deg', r.azimuth_deg, 'band', r.band,
             'device_status', r.device_status, 'region_id', r.region_id, 'market_id', r.market_id,
             'site_id', r.site_id, 'cell_id', r.cell_id, 'sector_id', r.sector_id, 'cell_name', r.cell_name,
             'sector_name', r.sector_name) AS whole) w;

DO $$
DECLARE
    wanted name;
BEGIN
    -- As in 0003: lz4 if the server was built with it, and a view with the privileges of its user.
    FOR wanted IN SELECT attname FROM pg_attribute WHERE attrelid = 'tarana_sync_change_batches'::regclass
                  AND atttypid IN ('text[]'::regtype, 'int[]'::regtype, 'numeric[]'::regtype) AND NOT attisdropped LOOP
        BEGIN
            EXECUTE format('ALTER TABLE tarana_sync_change_batches ALTER COLUMN %I SET COMPRESSION lz4', wanted);
        EXCEPTION WHEN feature_not_supported OR syntax_error OR invalid_parameter_value THEN
            EXIT;
        END;
    END LOOP;
    IF current_setting('server_version_num')::int >= 150000 THEN
        EXECUTE 'ALTER VIEW tarana_sync_changes SET (security_invoker = true)';
    END IF;
END
$$;
