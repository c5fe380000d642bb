-- Which of the vendor's listings a run read, and how it was proven that nothing was missing from it.
ALTER TABLE tarana_sync_logs
    ADD COLUMN IF NOT EXISTS listing text,   -- RegionSearch, OperatorList, RadioSearch
    ADD COLUMN IF NOT EXISTS proof   text;   -- Total, TwoReadings; None: nothing could be called absent
