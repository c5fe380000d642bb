//! Walls: a file that begins `//! Pure:` decides and does nothing else, and only `src/cli.rs` reads the environment.

use super::assert_none;
use super::files::{Source, rust_files};
use super::lexer::{Token, tokens};

/// What a pure file may not say, as tokens apart by spaces, and what it would be.
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

/// What reading the environment looks like: directly, or through clap.
const ENVIRONMENT: &[&str] = &["env ::", ":: env", "env =", ", env ) ]", "( env ) ]"];

#[test]
fn pure_files_are_pure() {
    assert_none(&rust_files("src").iter().flat_map(impure).collect::<Vec<_>>());
}

#[test]
fn only_cli_reads_the_environment() {
    assert_none(
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
        .flat_map(|(said, what)| occurrences(&tokens, said).map(move |t| (t.line, said, what)));
    found
        .map(|(line, said, what)| {
            let (path, said) = (&source.path, said.replace(' ', ""));
            format!("{path}:{line}: `{said}` is {what} in a file that begins `//! Pure:`: take it as an argument, or move it to the caller")
        })
        .collect()
}

fn reads_environment(source: &Source) -> Vec<String> {
    if source.path == "src/cli.rs" {
        return Vec::new();
    }
    let tokens = tokens(&source.text);
    let found = ENVIRONMENT.iter().flat_map(|said| occurrences(&tokens, said));
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

/// Where `said` stands in `tokens`.
fn occurrences<'a>(tokens: &'a [Token], said: &str) -> impl Iterator<Item = &'a Token> {
    let said: Vec<&str> = said.split(' ').collect();
    let starts = tokens.windows(said.len());
    starts
        .filter(move |window| window.iter().map(|t| t.text.as_str()).eq(said.iter().copied()))
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
