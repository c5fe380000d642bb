//! Pure: what poolers report with SQLSTATEs of their own.
//!
//! PgBouncer reports each failed login as a protocol violation, and Supavisor as an internal error. The cause is in the English
//! message, which may name the user.

/// What a pooler means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoolerError {
    /// This SQLSTATE of a server.
    Sqlstate(&'static str),
    /// The pooler serves several databases and does not know the one that the user names.
    UnknownTenant,
    /// Something else, for the time being.
    Unavailable,
}

/// SQLSTATEs that say nothing by themselves.
const PROTOCOL_VIOLATION: &str = "08P01";
const INTERNAL_ERROR: &str = "XX000";

/// Phrases in lower case. The first one that a message contains decides: a cached error follows what the pooler says itself.
const PHRASES: [(&str, PoolerError); 19] = [
    ("no more connections allowed", PoolerError::Sqlstate("53300")),
    ("max client connections", PoolerError::Sqlstate("53300")),
    ("max clients", PoolerError::Sqlstate("53300")),
    ("emaxconn", PoolerError::Sqlstate("53300")),
    ("too many authentication failures", PoolerError::Unavailable),
    ("too many", PoolerError::Sqlstate("53300")),
    ("connection slots", PoolerError::Sqlstate("53300")),
    ("tenant or user not found", PoolerError::UnknownTenant),
    ("(enotfound)", PoolerError::UnknownTenant),
    ("no tenant identifier", PoolerError::UnknownTenant),
    ("unsupported or invalid user", PoolerError::UnknownTenant),
    ("authentication failed", PoolerError::Sqlstate("28P01")),
    ("authentication error", PoolerError::Sqlstate("28P01")),
    ("permission denied for database", PoolerError::Sqlstate("42501")),
    ("no pg_hba.conf entry", PoolerError::Sqlstate("28000")),
    ("no such user", PoolerError::Sqlstate("28000")),
    ("no such database", PoolerError::Sqlstate("3D000")),
    ("role \"", PoolerError::Sqlstate("28000")),
    ("database \"", PoolerError::Sqlstate("3D000")),
];

/// What an error of this SQLSTATE means if a pooler sent it. `is_fatal`: it ended the connection. A server sends the same
/// SQLSTATEs for errors of single statements, which end none.
pub(super) fn meaning(code: &str, message: &str, is_fatal: bool) -> Option<PoolerError> {
    if code != PROTOCOL_VIOLATION && !(code == INTERNAL_ERROR && is_fatal) {
        return None;
    }
    let message = message.to_lowercase();
    // These end by themselves: the text behind them is that of a login, if at all.
    let known = PHRASES.into_iter().find(|(phrase, _)| message.contains(phrase));
    Some(known.map_or(PoolerError::Unavailable, |(_, meaning)| meaning))
}

/// The message without what stands in quotes, or after a word that announces a user. A pooler repeats the name of the user.
pub(super) fn without_names(message: &str) -> String {
    let mut quote = None;
    let mut text = String::with_capacity(message.len());
    for character in message.chars() {
        match quote {
            Some(open) if character == open => {
                text.push('…');
                text.push(character);
                quote = None;
            }
            Some(_) => {}
            None => {
                text.push(character);
                quote = ['"', '\''].contains(&character).then_some(character);
            }
        }
    }
    let mut hide = false;
    let words = text.split_whitespace().map(|word| {
        let shown = match word.split_once(['=', '/']) {
            _ if hide => "…".to_owned(),
            Some((name, _)) if is_user(name) || name == "tenant" => format!("{name} …"),
            _ => word.to_owned(),
        };
        hide = is_user(word.rsplit('/').next().unwrap_or(word));
        shown
    });
    words.collect::<Vec<_>>().join(" ")
}

fn is_user(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphabetic());
    ["user", "username", "role"]
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::{PoolerError, meaning, without_names};

    const MEANINGS: &[(&str, &str, PoolerError)] = &[
        (
            "XX000",
            "Max client connections reached",
            PoolerError::Sqlstate("53300"),
        ),
        (
            "XX000",
            "(EMAXCONN) max client connections reached, limit: 200",
            PoolerError::Sqlstate("53300"),
        ),
        (
            "XX000",
            "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15",
            PoolerError::Sqlstate("53300"),
        ),
        ("XX000", "Tenant or user not found", PoolerError::UnknownTenant),
        (
            "XX000",
            "(ENOTFOUND) tenant/user hunter2.project not found",
            PoolerError::UnknownTenant,
        ),
        (
            "XX000",
            "(ECHECKOUTTIMEOUT) unable to check out a connection",
            PoolerError::Unavailable,
        ),
        (
            "XX000",
            "(ECIRCUITBREAKER) too many authentication failures",
            PoolerError::Unavailable,
        ),
        (
            "08P01",
            "server login has been failing, cached error: FATAL: password authentication failed for user \"hunter2\" (server_login_retry)",
            PoolerError::Sqlstate("28P01"),
        ),
        (
            "08P01",
            "server login has been failing, cached error: role \"hunter2\" does not exist",
            PoolerError::Sqlstate("28000"),
        ),
        (
            "08P01",
            "server login has been failing, cached error: database \"d\" does not exist",
            PoolerError::Sqlstate("3D000"),
        ),
        (
            "08P01",
            "server login has been failing, cached error: too many connections for role \"hunter2\"",
            PoolerError::Sqlstate("53300"),
        ),
        (
            "08P01",
            "server login has been failing, cached error: no pg_hba.conf entry for host \"10.0.0.1\", user \"hunter2\", database \"d\"",
            PoolerError::Sqlstate("28000"),
        ),
        (
            "08P01",
            "server login has been failing, cached error: connect failed",
            PoolerError::Unavailable,
        ),
    ];

    #[test]
    fn messages_of_poolers_have_a_meaning() {
        for &(code, message, expected) in MEANINGS {
            assert_eq!(meaning(code, message, true), Some(expected), "{message}");
        }
        // An error of a single statement.
        assert_eq!(meaning("XX000", "max clients", false), None);
        assert_eq!(meaning("57P03", "database \"d\" is starting up", true), None);
    }

    #[test]
    fn names_are_omitted() {
        for (message, expected) in [
            ("login of user \"hunter2\" failed", "login of user … failed"),
            ("tenant/user hunter2.project not found", "tenant … … not found"),
            ("cannot log in user=hunter2 now", "cannot log in user … now"),
            ("the role hunter2 waits", "the role … waits"),
            ("query_wait_timeout", "query_wait_timeout"),
            ("an unclosed \"hunter2", "an unclosed \""),
        ] {
            assert_eq!(without_names(message), expected);
        }
    }
}
