//! Pure: how many requests the vendor bears at once, learnt from what it shows.
//!
//! The limit begins at a few and grows by a few whenever as many as it allows were served side by side, so that going
//! too far costs a few refusals and no more. A refusal takes one place away; what was refused beyond anything that was
//! ever served is a wall, which is tried again rarely, and more rarely each time. Where no refusal comes but answers take
//! longer the more of them are under way, requests only wait on the other side: then the limit stays, or shrinks a little.

mod waiting;

use std::time::Duration;

use self::waiting::Waiting;

/// Where the limit begins, and below which slow answers do not press it: few enough for any server.
pub(super) const START: u32 = 4;
/// How far the limit goes beyond what was proven: the most refusals that this can cost at once.
const STEP: u32 = 4;
/// Requests served at a wall before it is tried again; four times as many after each time in vain.
const PROBE_AFTER: u32 = 4096;
const PROBE_AFTER_MOST: u32 = PROBE_AFTER << 6;

/// What is known of the server, and what is under way.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    ceiling: u32,
    limit: u32,
    under_way: u32,
    /// Most that were under way since the last cut.
    peak: u32,
    /// So many were under way when a request went out that was then served.
    proven: u32,
    /// So many were refused.
    wall: Option<u32>,
    probe_after: u32,
    /// Counts the cuts: what went out before the last one tells nothing of the limit since.
    cuts: u64,
    last_cut: u32,
    /// The last cut was for going beyond what was proven.
    too_far: bool,
    /// Requests served since the last cut.
    served: u32,
    waiting: Waiting,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    /// How many there were with it.
    level: u32,
    cuts: u64,
}

impl InFlight {
    /// Nothing known yet. `ceiling` is never passed.
    pub(super) fn new(ceiling: u32) -> Self {
        let ceiling = ceiling.max(1);
        Self {
            ceiling,
            limit: ceiling.min(START),
            under_way: 0,
            peak: 0,
            proven: 0,
            wall: None,
            probe_after: PROBE_AFTER,
            cuts: 0,
            last_cut: 0,
            too_far: false,
            served: 0,
            waiting: Waiting::default(),
        }
    }

    /// Requests that may be under way at once.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// A request goes out.
    pub(super) fn begin(&mut self) -> Ticket {
        self.under_way += 1;
        self.peak = self.peak.max(self.under_way);
        Ticket {
            level: self.under_way,
            cuts: self.cuts,
        }
    }

    /// It was answered, after `took`. Only requests of the same `kind` are compared.
    pub(super) fn served(&mut self, ticket: Ticket, kind: &str, took: Duration) {
        self.under_way = self.under_way.saturating_sub(1);
        self.served = self.served.saturating_add(1);
        self.waiting.note(kind, took, ticket.level <= START);
        if ticket.cuts != self.cuts {
            return;
        }
        self.proven = self.proven.max(ticket.level.min(self.limit));
        if self.wall.is_some_and(|wall| ticket.level >= wall) {
            (self.wall, self.probe_after) = (None, PROBE_AFTER);
        }
        self.adjust();
    }

    /// It was refused because the server is busy. Whether that can be for the others under way; if not, nothing is learnt
    /// of them.
    pub(super) fn refused(&mut self, ticket: Ticket) -> bool {
        let together = self.under_way;
        self.under_way = together.saturating_sub(1);
        if ticket.level.max(together) <= 1 {
            // Refusals that one alone gets as well were not for the number.
            self.wall = None;
            return false;
        }
        let news = ticket.cuts == self.cuts;
        // Of so many, all but those that are refused were taken, in whatever order they arrived there.
        let from = if news {
            self.limit.min(self.peak)
        } else {
            self.limit
        };
        let rest = from.saturating_sub(self.cut(news));
        self.limit = rest.max(self.limit / 2).max(1);
        if news {
            self.too_far = from > self.proven;
            if self.wall.is_some_and(|wall| from >= wall) {
                self.probe_after = (self.probe_after * 4).min(PROBE_AFTER_MOST);
            }
        }
        if self.too_far {
            self.wall = Some(self.limit + 1);
        }
        self.proven = self.proven.min(self.limit);
        true
    }

    /// It ended in another way, which says nothing of the number.
    pub(super) fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// How many places a refusal takes: one, but twice as many as the last time where that did not help.
    /// What went out before the last cut is no news of it.
    fn cut(&mut self, news: bool) -> u32 {
        if !news {
            return 1;
        }
        let helped = self.cuts == 0 || self.served >= self.limit;
        self.last_cut = if helped {
            1
        } else {
            self.last_cut.saturating_mul(2)
        };
        self.cuts += 1;
        (self.served, self.peak) = (0, 0);
        self.last_cut
    }

    /// After each answer: further, back a little, or neither.
    fn adjust(&mut self) {
        let waiting = self.waiting.requests(self.limit);
        if waiting > (self.limit / 2).max(6) {
            if self.limit > START && self.served >= self.limit {
                self.limit -= 1;
                self.served = 0;
            }
        } else if waiting < (self.limit / 4).max(3) {
            let goal = self.goal().min(self.ceiling);
            if goal > self.limit {
                self.limit = goal;
            }
        }
    }

    /// How far it may go now.
    fn goal(&self) -> u32 {
        let beyond = self.proven + STEP;
        // After a cut, two rounds show first whether it was enough.
        let settled = self.cuts == 0 || self.served >= 2 * self.limit;
        match self.wall {
            _ if !settled => self.limit,
            None => beyond,
            Some(wall) if self.limit + 1 >= wall && self.served >= self.probe_after => wall,
            Some(wall) => beyond.min(wall - 1),
        }
    }
}

#[cfg(test)]
mod tests;
