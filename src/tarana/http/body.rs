//! Reads the body of an answer, within the limit of its size and the memory of all answers.

use reqwest::Response;

use super::memory::Reservation;
use crate::fault::{Fault, Reason};

/// Largest answer that is read. A page of 5000 devices of 300 fields is smaller.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// Reads the body in chunks, so that an endless one fails at the limit. Waits for the memory of each.
pub(super) async fn read_body(
    name: &str,
    mut response: Response,
    memory: &mut Reservation<'_>,
) -> Result<Result<Vec<u8>, reqwest::Error>, Fault> {
    let too_large = || {
        let message = format!(
            "{name}: the answer is larger than {} MiB: lower spec.api.pageSize",
            MAX_BODY >> 20
        );
        Fault::new(Reason::ResponseTooLarge, message)
    };
    let announced = response
        .content_length()
        .map_or(0, |n| usize::try_from(n).unwrap_or(usize::MAX));
    if announced > MAX_BODY {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(announced);
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY => return Err(too_large()),
            Ok(Some(chunk)) => {
                memory.grow_to(body.len() + chunk.len()).await;
                body.extend_from_slice(&chunk);
            }
            Ok(None) => return Ok(Ok(body)),
            Err(error) => return Ok(Err(error)),
        }
    }
}
