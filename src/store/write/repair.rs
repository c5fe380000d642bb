//! Writes what the database takes of a row that it rejects: values are dropped one at a time, and if none helps, the row is built up
//! from those that are taken.

use super::fields::{self, FIELDS};
use super::item::Item;
use super::rejection::Rejection;
use super::rows::{Fate, RowWriter};
use crate::fault::Fault;
use crate::station::Row;
use crate::store::changes::Op;

impl<'i> RowWriter<'_, '_, 'i> {
    /// `first` is why the row was rejected.
    pub(super) async fn repair(&mut self, item: &Item<'i>, first: Rejection) -> Result<(), Fault> {
        let base = item.base();
        let mut fields = fields::differing(item.after(), &base);
        // Those that were dropped before come first.
        fields.sort_by_key(|field| !self.dropped.contains(field));
        for field in &fields {
            let candidate = item.with(fields::with_field_of(item.after(), &base, *field));
            match self.attempt(std::slice::from_ref(&candidate)).await? {
                None => {
                    self.note_dropped(item, *field, &first);
                    return self.finish_repaired(&candidate).await;
                }
                // Without this value, only a unique constraint is violated. Another row may give up that value later.
                Some(other) if self.defers && other.conflict.is_some() && first.conflict.is_none() => {
                    self.note_dropped(item, *field, &first);
                    self.conflicts.push((candidate, other));
                    return Ok(());
                }
                Some(_) => {}
            }
        }
        self.build_up(item, base, &fields, first).await
    }

    /// Adds value after value to a row without any.
    async fn build_up(
        &mut self,
        item: &Item<'i>,
        base: Row,
        fields: &[usize],
        first: Rejection,
    ) -> Result<(), Fault> {
        let mut taken = item.with(base);
        if self.attempt(std::slice::from_ref(&taken)).await?.is_some() {
            return self.skip(item, &first);
        }
        self.w.undo().await?;
        let mut dropped = Vec::new();
        for field in fields {
            let candidate = item.with(fields::with_field_of(taken.after(), item.after(), *field));
            match self.attempt(std::slice::from_ref(&candidate)).await? {
                None => {
                    self.w.undo().await?;
                    taken = candidate;
                }
                Some(rejection) => dropped.push((*field, rejection)),
            }
        }
        if let Some(rejection) = self.attempt(std::slice::from_ref(&taken)).await? {
            return self.skip(item, &rejection);
        }
        for (field, rejection) in &dropped {
            self.note_dropped(item, *field, rejection);
        }
        self.finish_repaired(&taken).await
    }

    /// Keeps a row that was written with some of its values.
    async fn finish_repaired(&mut self, item: &Item<'i>) -> Result<(), Fault> {
        if item.is_unchanged() {
            self.w.undo().await?;
            self.leave(item);
            return Ok(());
        }
        // What a trigger leaves unchanged is undone, and nothing remains.
        self.accept(std::slice::from_ref(item)).await.map(drop)
    }

    fn note_dropped(&mut self, item: &Item<'_>, field: usize, rejection: &Rejection) {
        self.dropped.retain(|dropped| *dropped != field);
        self.dropped.push(field);
        let kept = if self.op == Op::Update {
            "the row keeps its value"
        } else {
            "the new row has none"
        };
        let why = format!(
            "{}: the database rejected the value, {kept}: {}",
            FIELDS[field].name, rejection.why
        );
        self.w.note(&item.after().serial, why);
    }

    fn skip(&mut self, item: &Item<'_>, rejection: &Rejection) -> Result<(), Fault> {
        self.fates.insert(item.index, Fate::NotWritten);
        let counts = &mut self.w.result.counts;
        if self.op == Op::Update {
            counts.updated -= 1;
        } else {
            counts.inserted -= 1;
        }
        self.w.skip(&item.after().serial, rejection)
    }
}
