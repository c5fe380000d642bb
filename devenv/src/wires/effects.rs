//! What went by, and the one effect that is to be caught.

use tokio::sync::watch;

/// On which side of the server an effect is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It has not reached the server, and never will if it is cut.
    Before,
    /// The server did it, and its answer is not back.
    After,
}

/// Which effect is to be caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The nth of those that come, from 1.
    Nth(usize),
    /// The nth with this name, from 1.
    NthNamed(usize, &'static str),
}

/// What becomes of an effect that was caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Cut,
    Pass,
}

#[derive(Debug, Default)]
struct State {
    told: Vec<String>,
    /// Nothing, once it has come.
    wanted: Option<(Target, Moment)>,
    /// Its name, while it is held.
    caught: Option<String>,
    verdict: Option<Verdict>,
}

/// The effects of all wires that share it, in the order in which they arrived.
#[derive(Debug, Default)]
pub struct Effects {
    state: watch::Sender<State>,
}

impl Effects {
    /// Forgets what went by, and catches one effect of those that come, once.
    pub fn catch(&self, target: Target, moment: Moment) {
        let wanted = Some((target, moment));
        self.state.send_replace(State {
            wanted,
            ..State::default()
        });
    }

    /// Forgets what went by, and catches nothing.
    pub fn count_anew(&self) {
        self.state.send_replace(State::default());
    }

    /// The names of the effects so far.
    pub fn told(&self) -> Vec<String> {
        self.state.borrow().told.clone()
    }

    /// Returns the name of the effect that was caught, once it is held at the moment that was asked for.
    pub async fn caught(&self) -> String {
        let mut state = self.state.subscribe();
        let held = state.wait_for(|state| state.caught.is_some()).await;
        // The sender lives as long as `self`.
        held.ok()
            .and_then(|state| state.caught.clone())
            .unwrap_or_default()
    }

    /// Drops the connection of the effect that is held: it goes neither on nor back.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.verdict = Some(Verdict::Cut));
    }

    /// Lets the effect that is held go on.
    pub fn pass(&self) {
        self.state
            .send_modify(|state| state.verdict = Some(Verdict::Pass));
    }

    /// Counts an effect; tells when it is to be held, if it is.
    pub(super) fn arrives(&self, name: &str) -> Option<Moment> {
        let mut moment = None;
        self.state.send_modify(|state| {
            state.told.push(name.to_owned());
            moment = state
                .wanted
                .take_if(|(target, _)| match target {
                    Target::Nth(nth) => *nth == state.told.len(),
                    Target::NthNamed(nth, wanted) => {
                        let arrived = state.told.iter().filter(|told| told == wanted).count();
                        *wanted == name && *nth == arrived
                    }
                })
                .map(|(_, moment)| moment);
        });
        moment
    }

    /// Holds the effect until it is decided what becomes of it.
    pub(super) async fn hold(&self, name: &str) -> Verdict {
        self.state
            .send_modify(|state| state.caught = Some(name.to_owned()));
        let mut state = self.state.subscribe();
        let decided = state
            .wait_for(|state| state.verdict.is_some() || state.caught.is_none())
            .await;
        decided
            .ok()
            .and_then(|state| state.verdict)
            .unwrap_or(Verdict::Cut)
    }
}
