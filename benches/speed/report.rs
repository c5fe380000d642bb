//! Prints the measured values with their limits, and fails if one exceeds its limit.

use std::fmt::Display;

use crate::Result;

/// Collects the values that exceed their limits.
#[derive(Default)]
pub struct Report {
    exceeded: Vec<String>,
}

impl Report {
    /// Prints a value with its limit, both in this unit.
    pub fn limit(&mut self, what: &str, (value, limit): (f64, f64), digits: usize, unit: &str) {
        let number = |n: f64| format!("{n:.digits$}{unit}");
        // NaN: nothing was measured.
        let exceeded = value.is_nan() || value > limit;
        let mark = if exceeded { "  EXCEEDED" } else { "" };
        println!("{what:<66} {:>10} {:>10}{mark}", number(value), number(limit));
        if exceeded {
            self.exceeded
                .push(format!("{what}: {}, at most {}", number(value), number(limit)));
        }
    }

    /// Prints why something was not measured, which is a failure.
    pub fn missing(&mut self, why: &str) {
        println!("{why}");
        self.exceeded.push(why.to_owned());
    }

    /// Returns an error if a value exceeds its limit or was not measured.
    pub fn finish(self) -> Result<()> {
        if self.exceeded.is_empty() {
            println!("\nevery value is within its limit");
            return Ok(());
        }
        Err(format!("\nexceeded or not measured:\n  {}", self.exceeded.join("\n  ")).into())
    }
}

/// Prints the header of a section.
pub fn section(title: &str) {
    println!("\n{title:<66} {:>10} {:>10}", "measured", "at most");
}

/// Prints a value without a limit.
pub fn figure(what: &str, measured: impl Display) {
    println!("{what:<66} {measured:>10} {:>10}", "–");
}

/// The median; NaN of nothing.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
