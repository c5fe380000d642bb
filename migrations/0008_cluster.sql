-- The cluster whose operator wrote the row: the uid of its namespace kube-system. With it, an operator can tell the rows of
-- connections that no longer exist in its own cluster from those of another cluster that uses the same tables. Null in older rows,
-- and where the operator may not read that namespace.
ALTER TABLE tarana_sync_logs ADD COLUMN cluster_uid uuid;
