//! Rule: a module imports only modules on lower rungs of the ladder.

use super::files::{Source, rust_files};
use super::lexer::{Token, tokens};
use super::{FORBIDDEN, RUNGS, assert_no_violations};

#[test]
fn imports_go_down_the_ladder() {
    assert_no_violations(
        &rust_files("src")
            .iter()
            .flat_map(ladder_violations)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn operator_and_devenv_do_not_import_each_other() {
    let pairs = [("src", "devenv"), ("devenv/src", "tarana_operator")];
    let violations = pairs.iter().flat_map(|(folder, name)| {
        rust_files(folder)
            .into_iter()
            .flat_map(move |source| uses_of(&source, name))
    });
    assert_no_violations(&violations.collect::<Vec<_>>());
}

/// Violations in a file that imports a module on the same or a higher rung.
fn ladder_violations(source: &Source) -> Vec<String> {
    let home = module_of(&source.path);
    let Some(own) = home.first() else {
        return Vec::new();
    };
    if rung(own).is_none() {
        let path = &source.path;
        return vec![format!(
            "{path}: module `{own}` has no rung: add it to RUNGS in tests/architecture/main.rs"
        )];
    }
    named_modules(&tokens(&source.text), &home)
        .into_iter()
        .filter_map(|(name, line)| {
            let why = forbidden_because(own, &name)?;
            Some(format!("{}:{line}: `{own}` imports `{name}`, {why}", source.path))
        })
        .collect()
}

/// Why `own` may not import `other`; `None` if it may.
fn forbidden_because(own: &str, other: &str) -> Option<&'static str> {
    let Some(below) = rung(other) else {
        return Some("which has no rung: add it to RUNGS in tests/architecture/main.rs");
    };
    if FORBIDDEN.contains(&(own, other)) {
        return Some(
            "which FORBIDDEN excludes: use it through `fault` or `station`, or convert it in the caller",
        );
    }
    (own != other && rung(own) <= Some(below)).then_some(
        "which is not on a lower rung: pass the value as an argument, or move the shared part down",
    )
}

/// Height of a module: 0 is the lowest rung.
fn rung(module: &str) -> Option<usize> {
    RUNGS.iter().rev().position(|rung| rung.contains(&module))
}

/// `src/sync/plan.rs` is `[sync, plan]`; `src/lib.rs` and `src/main.rs` are the root.
fn module_of(path: &str) -> Vec<String> {
    let path = path
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    match path {
        "lib" | "main" => Vec::new(),
        _ => path.split('/').map(str::to_owned).collect(),
    }
}

/// Top-level modules that `crate::…` and `super::…` in a file of module `home` refer to, with the line.
fn named_modules(tokens: &[Token], home: &[String]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut inline = Inline::default();
    let mut at = 0;
    while at < tokens.len() {
        inline.see(tokens, at);
        let depth = home.len() + inline.modules.len();
        if let Some((up, next)) = path_start(&tokens[at..], depth) {
            at += next;
            if up == depth {
                found.extend(first_names(&tokens[at..]));
            }
        } else {
            at += 1;
        }
    }
    found
}

/// How many modules the path that starts here ascends, and its number of tokens. `crate` ascends them all.
fn path_start(tokens: &[Token], depth: usize) -> Option<(usize, usize)> {
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|t| t.text == text);
    if is(0, "crate") && is(1, "::") {
        return Some((depth, 2));
    }
    let supers = (0..depth)
        .take_while(|n| is(2 * n, "super") && is(2 * n + 1, "::"))
        .count();
    (supers > 0).then_some((supers, 2 * supers))
}

/// The next names of a path: one, or the first names of a `{…}` list.
fn first_names(tokens: &[Token]) -> Vec<(String, usize)> {
    let Some(first) = tokens.first() else {
        return Vec::new();
    };
    if first.text != "{" {
        return vec![(first.text.clone(), first.line)];
    }
    let mut depth = 0;
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            _ if depth == 1 && matches!(tokens[at - 1].text.as_str(), "{" | ",") => {
                found.push((token.text.clone(), token.line));
            }
            _ => {}
        }
    }
    found
}

/// Tracks the `mod name { … }` blocks around a token, since each needs one more `super`.
#[derive(Default)]
struct Inline {
    braces: usize,
    modules: Vec<usize>,
}

impl Inline {
    fn see(&mut self, tokens: &[Token], at: usize) {
        match tokens[at].text.as_str() {
            "{" => {
                self.braces += 1;
                if at >= 2 && tokens[at - 2].text == "mod" {
                    self.modules.push(self.braces);
                }
            }
            "}" => {
                self.modules.pop_if(|opened| *opened == self.braces);
                self.braces = self.braces.saturating_sub(1);
            }
            _ => {}
        }
    }
}

/// Violations in a file that contains the identifier `name`.
fn uses_of(source: &Source, name: &str) -> Vec<String> {
    let uses = tokens(&source.text).into_iter().filter(|t| t.text == name);
    let path = &source.path;
    uses.map(|t| {
        format!(
            "{path}:{}: uses `{name}`: operator and simulator share no type; define it twice",
            t.line
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{Source, ladder_violations, uses_of};

    fn violations(path: &str, text: &str) -> usize {
        ladder_violations(&Source::new(path, text)).len()
    }

    #[test]
    fn down_is_allowed() {
        assert_eq!(
            violations(
                "src/sync/plan.rs",
                "use crate::{station::Row, fault::{Fault, Reason}}; use super::machine;"
            ),
            0
        );
        assert_eq!(
            violations(
                "src/sync/plan.rs",
                "use crate::sync::machine; mod tests { use super::super::machine; }"
            ),
            0
        );
        assert_eq!(
            violations("src/operator.rs", "fn f() { crate::cli::x(); crate::sync::y() }"),
            0
        );
        assert_eq!(violations("src/main.rs", "use tarana_operator::operator;"), 0);
        assert_eq!(
            violations(
                "src/fault.rs",
                "//! [`crate::operator`]\nmod tests { use super::Fault; }"
            ),
            0
        );
    }

    #[test]
    fn violations_are_detected() {
        for (path, text) in [
            ("src/fault.rs", "use crate::sync::plan;"),
            ("src/fault.rs", "fn f() { super::store::x() }"),
            (
                "src/fault.rs",
                "mod tests { mod deep { use super::super::super::store; } }",
            ),
            ("src/sync/plan.rs", "use super::super::admin::x;"),
            (
                "src/sync/mod.rs",
                "use crate::{fault::{self}, station, operator::Options};",
            ),
            ("src/store/mod.rs", "select! { _ = crate::tarana::fetch() => {} }"),
            ("src/store/mod.rs", "use crate::api::reason::Reason;"),
            ("src/tarana/client.rs", "use crate::api::reason::Reason;"),
            ("src/station.rs", "use crate::api::reason::Reason;"),
            ("src/sync/mod.rs", "use crate::elsewhere::X;"),
            ("src/util.rs", ""),
        ] {
            assert_eq!(violations(path, text), 1, "{path}: {text}");
        }
        assert_eq!(
            uses_of(
                &Source::new("src/x.rs", "use devenv::Simulator; // devenv"),
                "devenv"
            )
            .len(),
            1
        );
    }
}
