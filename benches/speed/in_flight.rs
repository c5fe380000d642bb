//! The adaptive concurrency limit, relative to the best fixed one, on a server that accepts eight concurrent requests. Each
//! round reads the whole fleet once with every client, so that load on the machine affects all of them.

use std::time::Duration;

use devenv::simulator::{self, Endpoint, Fault, Rule, Simulator};

use crate::Result;
use crate::fetch::{client, read};
use crate::report::{self, Report};

const LATENCY: Duration = Duration::from_millis(50);
/// Concurrent requests that the server accepts.
const CAPACITY: usize = 8;
/// Fixed limits, none of which the server rejects.
const FIXED: [u32; 5] = [2, 4, 6, 7, 8];
const PAGE: u32 = 10;
const CEILING: u32 = 64;
const ROUNDS: usize = 9;
/// The ratio of adaptive to best fixed, and the rejected requests of a reading.
const MAX_RATIO: f64 = 1.10;
const MAX_REJECTIONS: u32 = 5;

/// Measures the best of several rounds.
pub async fn measure(report: &mut Report) -> Result<()> {
    let tcs = Simulator::start(simulator::Config {
        latency: LATENCY,
        ..simulator::Config::with_base_nodes(718)
    })
    .await?;
    let overload = Fault::Overload {
        limit: CAPACITY,
        status: 429,
        retry_after: None,
    };
    tcs.set_rules(vec![Rule::on(Endpoint::Any, overload)]);

    let adaptive = client(&tcs, PAGE, CEILING, None)?;
    let first = read(&adaptive).await?;
    let rejections = tcs.counters().overloaded;
    let mut fixed = Vec::new();
    for ceiling in FIXED {
        let client = client(&tcs, PAGE, ceiling, None)?;
        // Warm up like the adaptive client: session, listing, and limit.
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
    let later = tcs.counters().overloaded - rejections;

    report::section("concurrency limit, on a server that accepts 8 requests");
    let ms = |time: Duration| format!("{} ms", time.as_millis());
    for (ceiling, _, least) in &fixed {
        report::figure(&format!("{ceiling} in flight, fixed"), ms(*least));
    }
    report::figure("adaptive, first reading with login", ms(first));
    report::figure("adaptive, later readings", ms(best));
    let least = fixed.iter().map(|(_, _, least)| *least).min();
    let ratio = best.as_secs_f64() / least.unwrap_or(Duration::MAX).as_secs_f64();
    report.limit("adaptive / best fixed", (ratio, MAX_RATIO), 3, "");
    for (what, rejected) in [("the first reading", rejections), ("the 9 later readings", later)] {
        let rejected = f64::from(u32::try_from(rejected)?);
        report.limit(
            &format!("rejected requests of {what}"),
            (rejected, f64::from(MAX_REJECTIONS)),
            0,
            "",
        );
    }
    Ok(())
}
