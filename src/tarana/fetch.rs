//! One fetch: the listing that serves, read and proven. Which one that is, and what takes its place, is decided here.

mod proof;
mod reading;

use jiff::Timestamp;

use self::proof::Stop;
use super::choice::{self, Choice};
use super::client::Client;
use crate::fault::{Fault, Reason};
use crate::station::{Fetched, Listing};

type Watch<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// Reads everything that the connection covers.
pub(super) async fn read(client: &Client, progress: Watch<'_>) -> Result<Fetched, Fault> {
    let kept = client.remember(|memory| memory.choice);
    let mut given_up: Vec<(Listing, Fault)> = Vec::new();
    for listing in choice::order(client.config.listing, kept, now()) {
        match proof::read(client, listing, progress).await {
            Ok(fetched) => {
                settle(client, listing, kept, !given_up.is_empty());
                let instead = (!given_up.is_empty()).then(|| instead(&given_up));
                return Ok(Fetched { instead, ..fetched });
            }
            Err(Stop::Listing(fault)) if gives_up(client, listing, &fault, kept) => {
                given_up.push((listing, fault));
            }
            Err(Stop::Listing(fault) | Stop::Else(fault)) if given_up.is_empty() => return Err(fault),
            Err(Stop::Listing(fault) | Stop::Else(fault)) => {
                let message = format!(
                    "{}; {listing} was read because {}",
                    fault.message,
                    instead(&given_up)
                );
                return Err(Fault { message, ..fault });
            }
        }
    }
    // Nobody wants to hear of the last resort first.
    let first = given_up.into_iter().next().map(|(_, fault)| fault);
    Err(first.unwrap_or_else(|| Fault::new(Reason::ApiRejected, "there is no listing to read")))
}

/// Only Auto gives up a listing, and only for what does not pass.
fn gives_up(client: &Client, listing: Listing, fault: &Fault, kept: Option<Choice>) -> bool {
    let times = client.remember(|memory| {
        let times = memory.troubles.entry(listing).or_default();
        *times = times.saturating_add(1);
        *times
    });
    let known = kept.is_some_and(|kept| kept.listing != listing);
    client.config.listing.is_none() && choice::stays(fault, times, known)
}

/// Remembers what served, and for how long it did already.
fn settle(client: &Client, listing: Listing, kept: Option<Choice>, anew: bool) {
    client.remember(|memory| {
        memory.troubles.remove(&listing);
        if client.config.listing.is_none() {
            let goes_on = kept.filter(|kept| kept.listing == listing && !anew);
            let chosen = goes_on.unwrap_or(Choice {
                listing,
                since: now(),
            });
            memory.choice = Some(chosen).filter(|_| listing != Listing::default());
        }
    });
}

fn instead(given_up: &[(Listing, Fault)]) -> String {
    let each: Vec<String> = given_up
        .iter()
        .map(|(listing, fault)| format!("{listing} is refused ({}: {})", fault.reason, fault.message))
        .collect();
    each.join("; ")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this module that asks how old a choice is"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
