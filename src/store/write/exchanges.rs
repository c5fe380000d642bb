//! Updates that need a value that another row has: two stations that swap their names violate a unique constraint on the way, although
//! the end is valid. The value is first taken from all rows of such a group.

use sqlx::AssertSqlSafe;

use super::conflicts::{self, Key};
use super::item::Item;
use super::rejection::Rejection;
use super::rows::RowWriter;
use crate::fault::Fault;
use crate::store::columns::COLUMNS;

impl<'i> RowWriter<'_, '_, 'i> {
    /// Writes the rows in [`RowWriter::conflicts`].
    pub async fn settle_conflicts(&mut self) -> Result<(), Fault> {
        self.defers = false;
        let left = std::mem::take(&mut self.conflicts);
        if left.is_empty() {
            return Ok(());
        }
        let keys = self.keys(&left).await?;
        let items: Vec<Item<'i>> = left.iter().map(|(item, _)| item.clone()).collect();
        let mut done = Vec::new();
        for group in conflicts::groups(&items, &keys) {
            if self.exchange(&group, &keys).await? {
                done.extend(group.iter().map(|item| item.index));
            }
        }
        let left = left.into_iter().filter(|(item, _)| !done.contains(&item.index));
        self.retry(left.collect()).await
    }

    /// Parks the values and writes the rows. Nothing remains of a group that the database rejects.
    async fn exchange(&mut self, group: &[Item<'i>], keys: &[Key]) -> Result<bool, Fault> {
        for key in keys {
            let Some(column) = self.parking_column(key) else {
                continue;
            };
            let (name, kind) = COLUMNS[column];
            let parked = match (self.w.table.is_nullable(column), kind) {
                (true, _) => "NULL",
                _ => "'~' || serial_number",
            };
            let park =
                format!("UPDATE tarana_base_stations SET {name} = {parked} WHERE serial_number = ANY ($1)");
            let serials: Vec<&str> = group.iter().map(|item| item.after().serial.as_str()).collect();
            let park = sqlx::query(AssertSqlSafe(park)).bind(serials);
            if self.w.attempt(park, group.len()).await?.is_some() {
                return Ok(false);
            }
        }
        if self.attempt(group).await?.is_some() {
            return Ok(false);
        }
        let left = self.accept(group).await?;
        self.write_each(left.into_iter().collect()).await?;
        Ok(true)
    }

    /// A column that can have NULL, or a text that no other row has.
    fn parking_column(&self, key: &Key) -> Option<usize> {
        let nullable = key.columns.iter().find(|at| self.w.table.is_nullable(**at));
        let text = key.columns.iter().find(|at| COLUMNS[**at].1 == "text");
        nullable.or(text).copied()
    }

    /// Writes row after row as long as one of them succeeds: it may have given up what another one needs. The rest is repaired.
    async fn retry(&mut self, mut left: Vec<(Item<'i>, Rejection)>) -> Result<(), Fault> {
        loop {
            let before = left.len();
            let mut rejected = Vec::new();
            for (item, _) in left {
                match self.attempt(std::slice::from_ref(&item)).await? {
                    None => drop(self.accept(std::slice::from_ref(&item)).await?),
                    Some(rejection) => rejected.push((item, rejection)),
                }
            }
            left = rejected;
            if left.len() == before || left.is_empty() {
                break;
            }
        }
        for (item, rejection) in left {
            self.repair(&item, rejection).await?;
        }
        Ok(())
    }

    /// The violated constraints, also those of expressions.
    async fn keys(&mut self, left: &[(Item<'i>, Rejection)]) -> Result<Vec<Key>, Fault> {
        let mut names: Vec<&str> = left.iter().filter_map(|(_, r)| r.conflict.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        let select = "
            SELECT DISTINCT c.relname::text, a.attname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND (a.attnum = ANY (i.indkey) OR EXISTS (
                SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = i.indexrelid
                AND refclassid = 'pg_class'::regclass AND refobjid = i.indrelid AND refobjsubid = a.attnum))
            WHERE i.indrelid = 'tarana_base_stations'::regclass AND a.attnum > 0 AND c.relname = ANY ($1) ORDER BY 1";
        let rows = self.w.tx.all(sqlx::query(select).bind(names)).await?;
        let columns =
            |row| -> Result<(String, String), Fault> { Ok((self.w.tx.get(row, 0)?, self.w.tx.get(row, 1)?)) };
        let found: Vec<(String, String)> = rows.iter().map(columns).collect::<Result<_, _>>()?;
        let keys = found.chunk_by(|a, b| a.0 == b.0).map(|of_one| Key {
            columns: of_one
                .iter()
                .filter_map(|(_, name)| COLUMNS.iter().position(|(column, _)| column == name))
                .collect(),
        });
        Ok(keys.collect())
    }
}
