-- What a run did and what it waited for, in the order in which it began: [{kind, attempt, step, cause, startedAt, endedAt, until,
-- pages, failed, detail, omitted}], where kind is wait, attempt or step. The times are the database's. Only the process with the
-- fence writes it, together with other columns; a span without an end ended with the run. At most 240 spans (src/store/log/spans.rs).
-- Null in older rows and in those of other programs.
ALTER TABLE tarana_sync_logs ADD COLUMN spans jsonb;
