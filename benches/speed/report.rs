//! What was measured, beside what it must not pass.

use std::fmt::Display;

use crate::Outcome;

/// Collects the figures that are past their limits.
#[derive(Default)]
pub struct Report {
    missed: Vec<String>,
}

impl Report {
    /// A figure with a limit. `unit` is what both are counted in.
    pub fn held(&mut self, what: &str, (value, limit): (f64, f64), digits: usize, unit: &str) {
        let number = |n: f64| format!("{n:.digits$}{unit}");
        let missed = value > limit;
        let mark = if missed { "  MISSED" } else { "" };
        println!("{what:<66} {:>10} {:>10}{mark}", number(value), number(limit));
        if missed {
            self.missed
                .push(format!("{what}: {}, at most {}", number(value), number(limit)));
        }
    }

    /// Something that should have been measured and was not.
    pub fn missing(&mut self, why: &str) {
        println!("{why}");
        self.missed.push(why.to_owned());
    }

    /// An error if anything is past its limit.
    pub fn end(self) -> Outcome<()> {
        if self.missed.is_empty() {
            println!("\nevery figure is within its limit");
            return Ok(());
        }
        Err(format!("\nnot within its limit:\n  {}", self.missed.join("\n  ")).into())
    }
}

/// A headline, and the columns below it.
pub fn section(title: &str) {
    println!("\n{title:<66} {:>10} {:>10}", "measured", "at most");
}

/// A figure that only informs.
pub fn told(what: &str, measured: impl Display) {
    println!("{what:<66} {measured:>10} {:>10}", "–");
}

/// The middle one.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
