//! The limit that finds itself against the best that somebody could have set, on a server that takes eight at once. Each
//! round reads the whole fleet once with every client, so that a busy machine is unkind to all of them.

use std::time::Duration;

use devenv::simulator::{self, Endpoint, Fault, Rule, Simulator};

use crate::Outcome;
use crate::fetch::{client, read};
use crate::report::{self, Report};

const LATENCY: Duration = Duration::from_millis(50);
/// What the server takes at once.
const TAKES: usize = 8;
/// Limits that somebody might set; the server refuses none of them.
const FIXED: [u32; 5] = [2, 4, 6, 7, 8];
const PAGE: u32 = 10;
const CEILING: u32 = 64;
const ROUNDS: usize = 9;
/// Adaptive / best fixed, and refusals of a whole reading.
const MOST: f64 = 1.10;
const MOST_REFUSALS: u32 = 5;

/// The best of some rounds.
pub async fn measure(report: &mut Report) -> Outcome<()> {
    let tcs = Simulator::start(simulator::Config {
        latency: LATENCY,
        ..simulator::Config::of(718)
    })
    .await?;
    let overload = Fault::Overload {
        limit: TAKES,
        status: 429,
        retry_after: None,
    };
    tcs.script(vec![Rule::on(Endpoint::Any, overload)]);

    let adaptive = client(&tcs, PAGE, CEILING, None)?;
    let first = read(&adaptive).await?;
    let refusals = tcs.counters().overloaded;
    let mut fixed = Vec::new();
    for ceiling in FIXED {
        let client = client(&tcs, PAGE, ceiling, None)?;
        // Warm, like the other: session, shapes, and the limit at its ceiling.
        read(&client).await?;
        read(&client).await?;
        fixed.push((ceiling, client, Duration::MAX));
    }
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        best = best.min(read(&adaptive).await?);
        for (_, client, least) in &mut fixed {
            *least = read(client).await?.min(*least);
        }
    }
    let later = tcs.counters().overloaded - refusals;

    report::section("in flight, on a server that takes 8 at once");
    let ms = |time: Duration| format!("{} ms", time.as_millis());
    for (ceiling, _, least) in &fixed {
        report::told(&format!("{ceiling} in flight, fixed"), ms(*least));
    }
    report::told("by itself, the first reading, login and all", ms(first));
    report::told("by itself, later", ms(best));
    let least = fixed.iter().map(|(_, _, least)| *least).min();
    let ratio = best.as_secs_f64() / least.unwrap_or(Duration::MAX).as_secs_f64();
    report.held("by itself / the best fixed", (ratio, MOST), 3, "");
    for (what, refused) in [("the first reading", refusals), ("the 9 later readings", later)] {
        let refused = f64::from(u32::try_from(refused)?);
        report.held(
            &format!("refusals of {what}"),
            (refused, f64::from(MOST_REFUSALS)),
            0,
            "",
        );
    }
    Ok(())
}
