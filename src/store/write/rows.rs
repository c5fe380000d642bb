//! Inserts or updates rows, some thousands per statement. When the database rejects a statement, its rows are halved until those that
//! cause it stand alone: `repair` writes what it can of them, and the others are written together.

use std::collections::{BTreeMap, HashMap};

use futures::future::join;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _, ValueRef as _};

use super::fields::{self, FIELDS};
use super::item::{self, Item};
use super::rejection::Rejection;
use super::statements;
use super::writer::Writer;
use crate::fault::Fault;
use crate::station::{Row, Text};
use crate::store::changes::Op;
use crate::store::columns::COLUMNS;
use crate::store::decode::row_of_values;
use crate::store::encode::RowChunk;

/// What became of a row that was not written as planned.
pub(super) enum Fate {
    Changed(Box<Row>),
    NotWritten,
}

/// The rows of one kind.
pub(super) struct RowWriter<'w, 'a, 'i> {
    pub w: &'w mut Writer<'a>,
    pub op: Op,
    sql: String,
    /// Whether the statement itself records the rows.
    records: bool,
    items: &'i [Item<'i>],
    /// By the index of the item. A row without an entry was written as planned.
    pub fates: BTreeMap<usize, Fate>,
    /// Updates that need a value that another row has. Collected until all others are written.
    pub conflicts: Vec<(Item<'i>, Rejection)>,
    /// Whether conflicts are still collected.
    pub defers: bool,
    /// Numbers of the fields that were dropped, the newest last: the next row often has the same.
    pub dropped: Vec<usize>,
    /// For each column of which the database stores something else: the number of rows and the first serial.
    altered: BTreeMap<usize, (usize, Text)>,
}

impl<'w, 'a, 'i> RowWriter<'w, 'a, 'i> {
    pub fn new(w: &'w mut Writer<'a>, op: Op, items: &'i [Item<'i>]) -> Self {
        let records = op == Op::Insert && !w.table.is_changed_by_database;
        let sql = match (op, records) {
            (Op::Insert, true) => statements::record_and_insert(),
            (Op::Insert, false) => statements::insert(),
            _ => statements::update(w.table),
        };
        Self {
            w,
            op,
            sql,
            records,
            items,
            fates: BTreeMap::new(),
            conflicts: Vec::new(),
            defers: op == Op::Update,
            dropped: Vec::new(),
            altered: BTreeMap::new(),
        }
    }

    /// Writes all rows but those in [`Self::conflicts`].
    pub async fn write_all(&mut self) -> Result<(), Fault> {
        let items = self.items;
        let mut at = 0;
        let mut ready = encode(items).await;
        while ready.rows() > 0 {
            let range = at..at + ready.rows() as usize;
            at = range.end;
            // Encode the next chunk while the server executes this one.
            let (rejected, next) = join(self.execute(&ready), encode(&items[at..])).await;
            ready = next;
            let left = match rejected? {
                None => self.accept(&items[range]).await?.into_iter().collect(),
                Some(rejection) => self.split(&items[range], rejection).await?,
            };
            self.write_each(left).await?;
        }
        Ok(())
    }

    /// Writes lists of rows, and halves what is rejected.
    pub async fn write_each(&mut self, mut left: Vec<Vec<Item<'i>>>) -> Result<(), Fault> {
        while let Some(items) = left.pop() {
            match self.attempt(&items).await? {
                None => left.extend(self.accept(&items).await?),
                Some(rejection) => left.extend(self.split(&items, rejection).await?),
            }
        }
        Ok(())
    }

    async fn split(&mut self, items: &[Item<'i>], rejection: Rejection) -> Result<Vec<Vec<Item<'i>>>, Fault> {
        if let [item] = items {
            self.w.count_rejected(&item.after().serial, &rejection)?;
            if self.defers && rejection.conflict.is_some() {
                self.conflicts.push((item.clone(), rejection));
            } else {
                self.repair(item, rejection).await?;
            }
            return Ok(Vec::new());
        }
        let (first, second) = items.split_at(items.len() / 2);
        Ok(vec![second.to_vec(), first.to_vec()])
    }

    /// Executes the statement for these rows. What is rejected is undone; what is not must be accepted.
    pub async fn attempt(&mut self, items: &[Item<'_>]) -> Result<Option<Rejection>, Fault> {
        let mut rest = items;
        while !rest.is_empty() {
            let chunk = encode(rest).await;
            if let Some(rejection) = self.execute(&chunk).await? {
                return Ok(Some(rejection));
            }
            rest = &rest[chunk.rows() as usize..];
        }
        Ok(None)
    }

    async fn execute(&mut self, chunk: &RowChunk) -> Result<Option<Rejection>, Fault> {
        let mut statement = chunk.bind(sqlx::query(AssertSqlSafe(self.sql.clone())));
        if self.records {
            statement = self.w.bind_batch(statement, Op::Insert, true);
        }
        self.w.attempt(statement, chunk.rows() as usize).await
    }

    /// Keeps rows that were written. If the database left some of them as they were, all are undone, and the others are returned: they
    /// are to be written again.
    pub async fn accept(&mut self, items: &[Item<'i>]) -> Result<Option<Vec<Item<'i>>>, Fault> {
        if !self.w.table.is_changed_by_database {
            self.accept_as_sent(items).await?;
            return Ok(None);
        }
        let stored = self.read_back(items).await?;
        let after = |item: &Item<'i>| stored.get(&item.after().serial);
        let (unchanged, written): (Vec<_>, Vec<_>) = items
            .iter()
            .cloned()
            .partition(|item| item.before.is_some() && item.before == after(item));
        if !unchanged.is_empty() {
            self.w.undo().await?;
            for item in unchanged {
                self.observe(&item, item.before);
                self.leave(&item);
            }
            return Ok(Some(written).filter(|written| !written.is_empty()));
        }
        self.w.keep().await?;
        for item in items {
            self.observe(item, after(item));
            self.settle(item, after(item));
        }
        if self.op == Op::Insert {
            let rows: Vec<&Row> = items
                .iter()
                .map(|item| stored.get(&item.after().serial).unwrap_or(item.after()))
                .collect();
            self.w.record_rows(Op::Insert, true, &rows).await?;
        }
        Ok(None)
    }

    /// Keeps rows of a table that nothing but us changes: they are as they were sent.
    async fn accept_as_sent(&mut self, items: &[Item<'i>]) -> Result<(), Fault> {
        self.w.keep().await?;
        if self.op == Op::Insert {
            self.w.recorded(items.len());
        }
        for item in items {
            self.settle(item, None);
        }
        Ok(())
    }

    /// Notes which columns differ from what was sent.
    fn observe(&mut self, item: &Item<'_>, stored: Option<&Row>) {
        let Some(stored) = stored else { return };
        for field in fields::differing(item.after(), stored) {
            let serial = &item.after().serial;
            let entry = self.altered.entry(field).or_insert_with(|| (0, serial.clone()));
            entry.0 += 1;
        }
    }

    /// Remembers a row that was written otherwise than planned.
    fn settle(&mut self, item: &Item<'_>, stored: Option<&Row>) {
        let written = stored.unwrap_or(item.after());
        let planned = self.items.get(item.index).map(Item::after);
        let is_planned = planned.is_some_and(|planned| std::ptr::eq(planned, written) || planned == written);
        if self.op == Op::Update && !is_planned {
            self.fates
                .insert(item.index, Fate::Changed(Box::new(written.clone())));
        }
    }

    /// Counts a row that stays as it was.
    pub fn leave(&mut self, item: &Item<'_>) {
        self.fates.insert(item.index, Fate::NotWritten);
        self.w.result.counts.updated -= 1;
        self.w.result.counts.unchanged += 1;
    }

    async fn read_back(&mut self, items: &[Item<'_>]) -> Result<HashMap<Text, Row>, Fault> {
        let select = format!(
            "SELECT {} FROM tarana_base_stations WHERE serial_number = ANY ($1)",
            self.w.table.select_list()
        );
        let serials: Vec<&str> = items.iter().map(|item| item.after().serial.as_str()).collect();
        let rows = self
            .w
            .tx
            .all(sqlx::query(AssertSqlSafe(select)).bind(serials))
            .await?;
        let decoded = self.w.tx.target().decode(&rows, row_of)?;
        Ok(decoded.into_iter().map(|row| (row.serial.clone(), row)).collect())
    }

    /// Adds one note for each column of which the database stored something else.
    pub fn report_altered(&mut self) {
        for (field, (rows, serial)) in std::mem::take(&mut self.altered) {
            let others = match rows - 1 {
                0 => String::new(),
                others => format!("; the same in {others} other rows"),
            };
            let name = FIELDS[field].name;
            let why = format!(
                "{name}: a trigger or rule of the database stores another value than it is sent{others}"
            );
            self.w.note(&serial, why);
        }
    }
}

/// Encodes rows from the front until the chunk is full.
async fn encode(items: &[Item<'_>]) -> RowChunk {
    RowChunk::take_from(&mut item::rows(items)).await
}

fn row_of(row: &PgRow) -> Result<Row, sqlx::Error> {
    let mut values = Vec::with_capacity(COLUMNS.len());
    for at in 0..COLUMNS.len() {
        let value = row.try_get_raw(at)?;
        let bytes = if value.is_null() {
            None
        } else {
            Some(value.as_bytes().map_err(sqlx::Error::Decode)?)
        };
        values.push(bytes);
    }
    row_of_values(values)
        .map_err(|_| sqlx::Error::Protocol("a row of tarana_base_stations is malformed".into()))
}
