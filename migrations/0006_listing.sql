-- The listing that a run read, and how it was proven complete.
ALTER TABLE tarana_sync_logs
    ADD COLUMN IF NOT EXISTS listing text,   -- RegionSearch, OperatorList, RadioSearch
    ADD COLUMN IF NOT EXISTS proof   text;   -- Total, TwoReadings; None: not proven, so nothing was deleted
