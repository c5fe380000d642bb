-- Rows that the listing of a run lacked, although it covered their region, whether the run deleted them or not. Null in older rows and in those of
-- other programs.
ALTER TABLE tarana_sync_logs ADD COLUMN stale int;
