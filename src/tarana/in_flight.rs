//! Pure: how many requests the vendor bears at once, learnt from what it shows.
//!
//! The limit begins at a few and grows by a few whenever as many as it allows were served side by side, so that going
//! too far costs a few refusals and no more. A refusal takes one place away; what was refused beyond anything that was
//! ever served is a wall, which is tried again rarely, and more rarely each time. Where no refusal comes but answers take
//! longer the more of them are under way, requests only wait on the other side: then the limit stays, or shrinks a little.

mod waiting;

use std::collections::BTreeSet;
use std::time::Duration;

use self::waiting::Waiting;

/// Where the limit begins, and below which slow answers do not press it: few enough for any server.
pub(super) const START: u32 = 4;
/// How far the limit goes beyond what was proven: the most refusals that this can cost at once.
const STEP: u32 = 4;
/// Requests served at a wall before it is tried again; four times as many after each time in vain.
const PROBE_AFTER: u32 = 4096;
const PROBE_AFTER_MOST: u32 = PROBE_AFTER << 6;
/// Refusals that may be risked at any time; one more after as many served requests as a wall is left alone for.
const CREDIT: u32 = 5;

/// What is known of the server, and what is under way.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    ceiling: u32,
    limit: u32,
    /// The requests under way, by number.
    under_way: BTreeSet<u64>,
    sent: u64,
    /// Most that were under way since the last cut.
    peak: u32,
    /// So many were under way together and none of them was refused.
    proven: u32,
    /// With this request there were so many: proven once it and all before it were served.
    to_prove: Option<(u64, u32)>,
    /// So many were refused.
    wall: Option<u32>,
    probe_after: u32,
    /// Counts the cuts: what went out before the last one tells nothing of the limit since.
    cuts: u64,
    /// Cuts in a row after which a refusal came soon again.
    fruitless: u32,
    /// The last cut was for going beyond what was proven.
    too_far: bool,
    /// Requests served since the last cut.
    served: u32,
    credit: u32,
    /// Requests served since the credit last grew.
    earned: u32,
    waiting: Waiting,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    number: u64,
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
            under_way: BTreeSet::new(),
            sent: 0,
            peak: 0,
            proven: 0,
            to_prove: None,
            wall: None,
            probe_after: PROBE_AFTER,
            cuts: 0,
            fruitless: 0,
            too_far: false,
            served: 0,
            credit: CREDIT,
            earned: 0,
            waiting: Waiting::default(),
        }
    }

    /// Requests that may be under way at once.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// A request goes out.
    pub(super) fn begin(&mut self) -> Ticket {
        self.sent += 1;
        self.under_way.insert(self.sent);
        let level = self.together();
        self.peak = self.peak.max(level);
        if level > self.to_prove.map_or(self.proven, |(_, level)| level) {
            self.to_prove = Some((self.sent, level));
        }
        Ticket {
            number: self.sent,
            level,
            cuts: self.cuts,
        }
    }

    /// It was answered, after `took`. Only requests of the same `kind` are compared.
    pub(super) fn served(&mut self, ticket: Ticket, kind: &str, took: Duration) {
        self.under_way.remove(&ticket.number);
        self.served = self.served.saturating_add(1);
        self.earned += 1;
        if self.earned >= PROBE_AFTER {
            (self.earned, self.credit) = (0, CREDIT.min(self.credit + 1));
        }
        self.waiting.note(kind, took, ticket.level <= START);
        self.prove();
        if ticket.cuts == self.cuts {
            self.adjust();
        }
    }

    /// It was refused because the server is busy. Whether that can be for the others under way; if not, nothing is learnt
    /// of them.
    pub(super) fn refused(&mut self, ticket: Ticket) -> bool {
        let together = self.together();
        self.under_way.remove(&ticket.number);
        if ticket.level.max(together) <= 1 {
            // Refusals that one alone gets as well were not for the number.
            (self.wall, self.credit) = (None, CREDIT);
            return false;
        }
        self.credit = self.credit.saturating_sub(1);
        let news = ticket.cuts == self.cuts;
        // Of so many, all but those that are refused were taken, in whatever order they arrived there.
        let from = if news {
            self.limit.min(self.peak)
        } else {
            self.limit
        };
        let too_far = if news { from > self.proven } else { self.too_far };
        let rest = from.saturating_sub(self.cut(news, too_far));
        self.limit = rest.max(self.limit / 2).max(1);
        if news {
            self.too_far = too_far;
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
    pub(super) fn ended(&mut self, ticket: Ticket) {
        self.under_way.remove(&ticket.number);
        self.to_prove = None;
    }

    fn together(&self) -> u32 {
        u32::try_from(self.under_way.len()).unwrap_or(u32::MAX)
    }

    /// Requests overtake each other on their way, so that one that was served proves nothing while others before it may
    /// still be refused.
    fn prove(&mut self) {
        let Some((number, level)) = self.to_prove else {
            return;
        };
        if self.under_way.first().is_none_or(|oldest| *oldest > number) {
            (self.proven, self.to_prove) = (level.min(self.limit), None);
            if self.wall.is_some_and(|wall| self.proven >= wall) {
                (self.wall, self.probe_after, self.credit) = (None, PROBE_AFTER, CREDIT);
            }
        }
    }

    /// How many places a refusal takes: one, but twice as many each time where one and another did not help. What went out
    /// before the last cut is no news of it.
    fn cut(&mut self, news: bool, too_far: bool) -> u32 {
        if !news {
            return 1;
        }
        let helped = self.cuts == 0 || self.served >= self.limit || too_far;
        self.fruitless = if helped {
            0
        } else {
            self.fruitless.saturating_add(1)
        };
        self.cuts += 1;
        (self.served, self.peak, self.to_prove) = (0, 0, None);
        1 << self.fruitless.saturating_sub(1).min(8)
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
        let beyond = self.proven + STEP.min(self.credit);
        // After a cut, two rounds show first whether it was enough.
        let settled = self.cuts == 0 || self.served >= 2 * self.limit;
        match self.wall {
            _ if !settled => self.limit,
            None => beyond,
            Some(wall) if self.limit + 1 >= wall && self.served >= self.probe_after && self.credit > 0 => {
                wall
            }
            Some(wall) => beyond.min(wall - 1),
        }
    }
}

#[cfg(test)]
mod tests;
