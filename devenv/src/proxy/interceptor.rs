//! Records the side effects that pass through the proxies, and intercepts one of them.

use tokio::sync::watch;

/// When a side effect is intercepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the request reaches the server.
    Before,
    /// After the server executed it, before the response reaches the program.
    After,
}

/// Which side effect is intercepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The nth, from 1.
    Nth(usize),
    /// The nth with this name, from 1.
    NthNamed(usize, &'static str),
}

/// What to do with an intercepted side effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    DropConnection,
    Forward,
}

#[derive(Debug, Default)]
struct State {
    recorded: Vec<String>,
    /// `None` once the target has arrived.
    wanted: Option<(Target, Moment)>,
    /// The name of the side effect that is held.
    held: Option<String>,
    disposition: Option<Disposition>,
}

/// The side effects of all proxies that share it, in order of arrival.
#[derive(Debug, Default)]
pub struct Interceptor {
    state: watch::Sender<State>,
}

impl Interceptor {
    /// Forgets all recorded side effects and intercepts one of the next ones, once.
    pub fn intercept(&self, target: Target, moment: Moment) {
        let wanted = Some((target, moment));
        self.state.send_replace(State {
            wanted,
            ..State::default()
        });
    }

    /// Forgets all recorded side effects and intercepts none.
    pub fn reset(&self) {
        self.state.send_replace(State::default());
    }

    /// The names of the side effects since the last reset.
    pub fn recorded(&self) -> Vec<String> {
        self.state.borrow().recorded.clone()
    }

    /// Waits until the target is held and returns its name.
    pub async fn wait_until_intercepted(&self) -> String {
        let mut state = self.state.subscribe();
        let held = state.wait_for(|state| state.held.is_some()).await;
        // The sender lives as long as `self`.
        held.ok().and_then(|state| state.held.clone()).unwrap_or_default()
    }

    /// Drops the connection of the held side effect.
    pub fn drop_connection(&self) {
        self.state
            .send_modify(|state| state.disposition = Some(Disposition::DropConnection));
    }

    /// Forwards the held side effect.
    pub fn forward(&self) {
        self.state
            .send_modify(|state| state.disposition = Some(Disposition::Forward));
    }

    /// Records a side effect. Returns the moment at which it must be held, if any.
    pub(super) fn record(&self, name: &str) -> Option<Moment> {
        let mut moment = None;
        self.state.send_modify(|state| {
            state.recorded.push(name.to_owned());
            moment = state
                .wanted
                .take_if(|(target, _)| match target {
                    Target::Nth(nth) => *nth == state.recorded.len(),
                    Target::NthNamed(nth, wanted) => {
                        let count = state.recorded.iter().filter(|name| name == wanted).count();
                        *wanted == name && *nth == count
                    }
                })
                .map(|(_, moment)| moment);
        });
        moment
    }

    /// Holds a side effect until the test decides on it.
    pub(super) async fn hold(&self, name: &str) -> Disposition {
        self.state.send_modify(|state| state.held = Some(name.to_owned()));
        let mut state = self.state.subscribe();
        let decided = state
            .wait_for(|state| state.disposition.is_some() || state.held.is_none())
            .await;
        decided
            .ok()
            .and_then(|state| state.disposition)
            .unwrap_or(Disposition::DropConnection)
    }
}
