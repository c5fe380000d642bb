//! Rule: files and functions are short. Blank lines and comments do not count.

use std::collections::BTreeSet;

use super::files::{Source, rust_files};
use super::lexer::{Token, tokens};
use super::{FILE_LIMIT, FUNCTION_LIMIT, assert_no_violations};

#[test]
fn files_and_functions_stay_short() {
    let sources = ["src", "devenv/src", "tests"]
        .map(rust_files)
        .into_iter()
        .flatten();
    assert_no_violations(&sources.flat_map(|s| too_long(&s)).collect::<Vec<_>>());
}

fn too_long(source: &Source) -> Vec<String> {
    let tokens = tokens(&source.text);
    let mut violations = Vec::new();
    let lines = code_lines(&tokens);
    if lines > FILE_LIMIT {
        let path = &source.path;
        violations.push(format!(
            "{path} has {lines} lines of code, the limit is {FILE_LIMIT}: move an independent part to a module of its own"
        ));
    }
    for (at, _) in tokens.iter().enumerate().filter(|(_, t)| t.text == "fn") {
        let Some((name, function)) = function_at(&tokens[at..]) else {
            continue;
        };
        let lines = code_lines(function);
        if lines > FUNCTION_LIMIT {
            let (path, line) = (&source.path, tokens[at].line);
            violations.push(format!(
                "{path}:{line}: fn {name} has {lines} lines of code, the limit is {FUNCTION_LIMIT}: extract its steps into functions"
            ));
        }
    }
    violations
}

/// Number of lines that contain any of these tokens.
fn code_lines(tokens: &[Token]) -> usize {
    tokens
        .iter()
        .flat_map(|t| t.line..=t.last_line)
        .collect::<BTreeSet<_>>()
        .len()
}

/// Name and tokens of the function that begins with `fn` here; `None` for the type `fn(…)` and without a body.
fn function_at(tokens: &[Token]) -> Option<(&str, &[Token])> {
    let name = tokens.get(1)?.text.as_str();
    if name == "(" {
        return None;
    }
    let (mut brackets, mut braces) = (0, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets -= 1,
            ";" if brackets == 0 && braces == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                if braces == 0 {
                    return Some((name, &tokens[..=at]));
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn violations_are_detected() {
    let body = |lines| "    let x = [0; 1];\n".repeat(lines);
    let function = |lines| format!("fn long(a: [u8; 4]) {{\n// no code\n\n{}}}\n", body(lines));
    let sample = |text: &str| too_long(&Source::new("src/x.rs", text));

    assert_no_violations(&sample(&function(FUNCTION_LIMIT - 2)));
    assert!(sample(&function(FUNCTION_LIMIT - 1))[0].contains("src/x.rs:1: fn long has 61"));
    assert!(sample(&format!("trait T {{ fn a(); {} }}", function(FUNCTION_LIMIT)))[0].contains("fn long"));

    let fits = "const A: u8 = 0;\n".repeat(FILE_LIMIT);
    assert_no_violations(&sample(&format!("{fits}\n// no code\n")));
    assert!(sample(&format!("{fits}const B: &str = \"\n\";"))[0].contains("has 402 lines"));
}
