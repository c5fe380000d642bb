-- The shape in which new and changed base stations reach the server: rows of this type, as one argument of a statement.
-- The columns and their order are those of src/store/columns.rs. A type of its own rather than the table's, which may
-- have more columns, others, or other types that these values are cast to.
CREATE TYPE tarana_incoming AS (
    serial_number      text,
    hostname           text,
    site_name          text,
    active_connections int,
    market             text,
    lat                numeric(10, 6),
    lng                numeric(10, 6),
    region             text,
    height_m           numeric(8, 2),
    azimuth_deg        numeric(5, 2),
    band               text,
    device_status      int,
    region_id          int,
    market_id          int,
    site_id            int,
    cell_id            int,
    sector_id          int,
    cell_name          text,
    sector_name        text
);
