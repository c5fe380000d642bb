//! Rules: a file that begins with `//! Pure:` has no effects, and only `src/cli.rs` reads the environment.

use super::assert_no_violations;
use super::files::{Source, rust_files};
use super::lexer::{Token, tokens};

/// Token sequences that a pure file may not contain, and what they are.
const IMPURE: &[(&str, &str)] = &[
    ("async", "waiting"),
    ("await", "waiting"),
    ("tokio", "waiting"),
    ("kube :: Client", "a client"),
    ("kube :: client", "a client"),
    ("kube :: Api", "a client"),
    ("kube :: runtime", "a client"),
    ("Client", "a client"),
    ("Api <", "a client"),
    ("Api ::", "a client"),
    ("reqwest", "a client"),
    ("sqlx", "a client"),
    ("axum", "a server"),
    (":: now", "a clock"),
    ("SystemTime", "a clock"),
    (". elapsed", "a clock"),
    ("env ::", "the environment"),
    ("fs ::", "the file system"),
    (":: new_v4", "chance"),
    ("rand ::", "chance"),
];

/// Token sequences that read the environment: directly, or through clap.
const ENVIRONMENT: &[&str] = &["env ::", ":: env", "env =", ", env ) ]", "( env ) ]"];

#[test]
fn pure_files_are_pure() {
    assert_no_violations(&rust_files("src").iter().flat_map(impure).collect::<Vec<_>>());
}

#[test]
fn only_cli_reads_the_environment() {
    assert_no_violations(
        &rust_files("src")
            .iter()
            .flat_map(reads_environment)
            .collect::<Vec<_>>(),
    );
}

fn impure(source: &Source) -> Vec<String> {
    if !source.text.starts_with("//! Pure:") {
        return Vec::new();
    }
    let tokens = tokens(&source.text);
    let found = IMPURE
        .iter()
        .flat_map(|(sequence, what)| occurrences(&tokens, sequence).map(move |t| (t.line, sequence, what)));
    found
        .map(|(line, sequence, what)| {
            let (path, sequence) = (&source.path, sequence.replace(' ', ""));
            format!("{path}:{line}: `{sequence}` is {what} in a file that begins with `//! Pure:`: pass it as an argument, or move it to the caller")
        })
        .collect()
}

fn reads_environment(source: &Source) -> Vec<String> {
    if source.path == "src/cli.rs" {
        return Vec::new();
    }
    let tokens = tokens(&source.text);
    let found = ENVIRONMENT
        .iter()
        .flat_map(|sequence| occurrences(&tokens, sequence));
    let path = &source.path;
    found
        .map(|t| {
            format!(
                "{path}:{}: reads the environment: make it a flag of src/cli.rs and pass the value in",
                t.line
            )
        })
        .collect()
}

/// Lines of `tokens` that contain the sequence.
fn occurrences<'a>(tokens: &'a [Token], sequence: &str) -> impl Iterator<Item = &'a Token> {
    let sequence: Vec<&str> = sequence.split(' ').collect();
    let starts = tokens.windows(sequence.len());
    starts
        .filter(move |window| {
            window
                .iter()
                .map(|t| t.text.as_str())
                .eq(sequence.iter().copied())
        })
        .map(|window| &window[0])
}

#[cfg(test)]
mod tests {
    use super::{Source, impure, reads_environment};

    fn pure(text: &str) -> Vec<String> {
        impure(&Source::new("src/x.rs", &format!("//! Pure: a sample.\n{text}")))
    }

    #[test]
    fn values_are_pure() {
        assert!(pure("fn due(now: Timestamp) -> Trigger { Trigger::Api } // async").is_empty());
        assert!(pure("#[derive(kube::CustomResource)] struct S;").is_empty());
        assert!(impure(&Source::new("src/x.rs", "async fn f() {}")).is_empty());
    }

    #[test]
    fn these_walls_can_fail() {
        for bad in [
            "async fn f() {}",
            "fn f(c: &kube::Client) {}",
            "use kube::{Api, Resource}; fn f(a: Api<Secret>) {}",
            "fn f(p: sqlx::PgPool) {}",
            "fn f() { reqwest::get(\"\"); }",
            "fn f() { Timestamp::now(); }",
            "fn f() { Instant::now(); }",
            "fn f(t: SystemTime) {}",
            "fn f() { std::env::var(\"A\"); }",
        ] {
            assert!(!pure(bad).is_empty(), "{bad}");
        }
        for bad in [
            "std::env::var(\"A\")",
            "use std::env;",
            "#[arg(long, env = \"A\")]",
            "#[arg(env)]",
        ] {
            assert!(
                !reads_environment(&Source::new("src/x.rs", bad)).is_empty(),
                "{bad}"
            );
            assert!(
                reads_environment(&Source::new("src/cli.rs", bad)).is_empty(),
                "{bad}"
            );
        }
    }
}
