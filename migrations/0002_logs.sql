-- tarana_sync_logs: one row per run; `id` is the uid of its TaranaSync. If it is missing, it is created with the columns,
-- checks, indexes and policies that other programs expect; then the operator's own columns are added.
DO $$
BEGIN
    IF to_regclass('tarana_sync_logs') IS NOT NULL THEN
        RETURN;
    END IF;
    CREATE TABLE tarana_sync_logs (
        id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        status            text NOT NULL DEFAULT 'pending'
                          CHECK (status IN ('pending', 'running', 'completed', 'failed')),
        trigger_type      text NOT NULL DEFAULT 'cron' CHECK (trigger_type IN ('cron', 'manual')),
        triggered_by      uuid,
        stations_fetched  int DEFAULT 0,
        inserted int DEFAULT 0,
        updated  int DEFAULT 0,
        deleted  int DEFAULT 0,
        errors            jsonb DEFAULT '[]', -- [{message, timestamp}]
        attempt           int DEFAULT 1,
        started_at        timestamptz,
        completed_at      timestamptz,
        duration_ms       int,
        created_at        timestamptz DEFAULT now()
    );
    CREATE INDEX idx_tarana_sync_logs_created ON tarana_sync_logs (created_at DESC);
    CREATE INDEX idx_tarana_sync_logs_status ON tarana_sync_logs (status) WHERE status IN ('pending', 'running');

    -- The users of the surrounding application, which creates this table.
    IF to_regclass('admin_users') IS NOT NULL THEN
        ALTER TABLE tarana_sync_logs ADD FOREIGN KEY (triggered_by) REFERENCES admin_users (id) ON DELETE SET NULL;
    END IF;

    ALTER TABLE tarana_sync_logs ENABLE ROW LEVEL SECURITY;
    IF to_regclass('admin_users') IS NOT NULL AND to_regprocedure('auth.uid()') IS NOT NULL
       AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated') THEN
        CREATE POLICY "Admins can view sync logs" ON tarana_sync_logs FOR SELECT TO authenticated
            USING (EXISTS (SELECT FROM admin_users WHERE admin_users.id = auth.uid()));
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        CREATE POLICY "Service role can manage sync logs" ON tarana_sync_logs TO service_role
            USING (true) WITH CHECK (true);
    END IF;
END
$$;

ALTER TABLE tarana_sync_logs
    ADD COLUMN IF NOT EXISTS namespace      text,
    ADD COLUMN IF NOT EXISTS name           text,
    ADD COLUMN IF NOT EXISTS connection     text,
    ADD COLUMN IF NOT EXISTS connection_uid uuid,
    ADD COLUMN IF NOT EXISTS actor          text,             -- who requested it, as free text
    ADD COLUMN IF NOT EXISTS dry_run        boolean,
    ADD COLUMN IF NOT EXISTS delete_stale   boolean,
    ADD COLUMN IF NOT EXISTS outcome        text CHECK (outcome IN ('completed', 'failed', 'cancelled')),
    ADD COLUMN IF NOT EXISTS reason         text,             -- reason of the object's condition
    ADD COLUMN IF NOT EXISTS message        text,             -- why it failed, or why deletes were withheld
    ADD COLUMN IF NOT EXISTS unchanged      int,
    ADD COLUMN IF NOT EXISTS skipped        int,
    ADD COLUMN IF NOT EXISTS withheld       int,
    ADD COLUMN IF NOT EXISTS fence          bigint,           -- increases whenever a process takes the run; only the newest may write
    ADD COLUMN IF NOT EXISTS heartbeat_at   timestamptz;

-- At most one running run per connection. Rows of other programs have no connection and are exempt.
CREATE UNIQUE INDEX tarana_sync_logs_one_running ON tarana_sync_logs (connection_uid) WHERE status = 'running';
