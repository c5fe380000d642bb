//! Whatever the server sends, the client uses bounded memory, and the fault has the right reason.
//!
//! The measurement is the peak memory of a child process: this binary, running one test.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tarana_operator::tarana::{Client, Config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const LOGIN: &str = r#"{"data":{"idToken":"i","accessToken":"a"},"error":null}"#;
const MIB: usize = 1 << 20;
/// The environment variable with the server's URL for the child.
const URL: &str = "TARANA_TEST_LIMITS_URL";

/// An answer in pieces; if `endless`, the last piece is repeated for ever.
#[derive(Clone, Default)]
struct Reply {
    headers: String,
    pieces: Vec<Arc<[u8]>>,
    endless: bool,
}

fn reply(pieces: &[&[u8]]) -> Reply {
    Reply {
        pieces: pieces.iter().map(|piece| Arc::from(*piece)).collect(),
        ..Reply::default()
    }
}

fn times(piece: &[u8], n: usize) -> Vec<u8> {
    piece.repeat(n)
}

/// A page with these items of a list of `total` rows.
fn list(items: &str, rows: usize, total: usize) -> String {
    format!(r#"{{"data":{{"items":[{items}],"count":{rows},"totalCount":{total}}},"error":null}}"#)
}

/// A minimal HTTP server that can send invalid answers, and counts the bytes it sends.
struct Server {
    url: String,
    sent: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answer, sent) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        let counted = Arc::clone(&sent);
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                let (answer, sent) = (Arc::clone(&answer), Arc::clone(&counted));
                connections.spawn(async move {
                    // The client may close the connection early.
                    let _ = talk(stream, &*answer, &sent).await;
                });
            }
        });
        Self {
            url,
            sent,
            connections,
            _tasks: tasks,
        }
    }
}

async fn talk(
    mut stream: TcpStream,
    answer: &(dyn Fn(&str, &str) -> Reply + Send + Sync),
    sent: &AtomicUsize,
) -> std::io::Result<()> {
    let mut unread = Vec::new();
    loop {
        let (path, body) = loop {
            if let Some((request, rest)) = request(&unread) {
                unread = rest;
                break request;
            }
            if stream.read_buf(&mut unread).await? == 0 {
                return Ok(());
            }
        };
        let reply = answer(&path, &body);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n{}\r\n",
            reply.headers
        );
        stream.write_all(head.as_bytes()).await?;
        let last = reply.pieces.last().filter(|_| reply.endless);
        for piece in reply.pieces.iter().chain(last.into_iter().cycle()) {
            stream
                .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                .await?;
            stream.write_all(piece).await?;
            stream.write_all(b"\r\n").await?;
            sent.fetch_add(piece.len(), Ordering::Relaxed);
        }
        stream.write_all(b"0\r\n\r\n").await?;
    }
}

/// Path and body of a complete request, and the bytes after it.
fn request(bytes: &[u8]) -> Option<((String, String), Vec<u8>)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |n| n.trim().parse().unwrap());
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let body = bytes.get(end..end + length)?;
    let body = String::from_utf8_lossy(body).into_owned();
    Some(((path, body), bytes[end + length..].to_vec()))
}

/// The result of a child: rows or the reason of the fault, and its peak memory in MiB.
async fn child(server: &Server) -> (String, usize) {
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "tarana::limits::in_a_process_of_its_own",
            "--ignored",
            "--nocapture",
        ])
        .env(URL, &server.url)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(3), child)
        .await
        .expect("the child did not end")
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = text.lines().find_map(|line| line.strip_prefix("found: "));
    let (found, memory) = found
        .and_then(|line| line.split_once(" in "))
        .unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    (found.to_owned(), memory.parse::<usize>().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the child process of the other tests in this file"]
#[expect(clippy::disallowed_methods, reason = "the parent test passes the URL")]
async fn in_a_process_of_its_own() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new(Config {
        base_url: std::env::var(URL).expect("started by another test"),
        username: "u".into(),
        password: "p".into(),
        ca_pem: None,
        operator_id: Some(1),
        include_region_ids: vec![],
        exclude_region_ids: vec![],
        page_size: 1000,
        request_timeout: Duration::from_secs(100),
        requests_per_second: 1_000_000,
        max_in_flight: 16,
        count_connections: false,
        listing: None,
    })
    .unwrap();
    let found = match super::fetch(&client).await {
        Ok(fetched) => format!(
            "{} rows, {} skipped",
            fetched.stations.len(),
            fetched.skipped.len()
        ),
        Err(fault) => fault.reason.to_string(),
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: usize = kib.trim().trim_end_matches(" kB").parse().unwrap();
    println!("\nfound: {found} in {}", kib >> 10);
}

/// Most memory of a child in MiB: one answer of the maximum size, and the process itself.
const MAX_MEMORY: usize = 120;

/// One unusual answer, and its result as a list of regions and as a list of devices.
struct Case {
    what: &'static str,
    reply: Reply,
    regions: &'static str,
    devices: &'static str,
}

fn case(what: &'static str, reply: Reply, regions: &'static str, devices: &'static str) -> Case {
    Case {
        what,
        reply,
        regions,
        devices,
    }
}

/// Answers that are too large.
fn large() -> Vec<Case> {
    let open = br#"{"data":{"items":["#.as_slice();
    let close = br#"1],"count":1,"totalCount":1}}"#.as_slice();
    let endless = |piece: &[u8]| Reply {
        endless: true,
        ..reply(&[open, piece])
    };
    let headers = (0..90).fold(String::new(), |mut headers, n| {
        write!(headers, "X-{n}: {}\r\n", "h".repeat(100_000)).unwrap();
        headers
    });
    let headers = Reply {
        headers,
        ..reply(&[b"{}"])
    };
    let rows = reply(&[open, &times(b"0,", 30 * MIB), close]);
    let broken = reply(&[&times(b"\xff", 60 * MIB)]);
    let (too_large, changed, unreachable) = ("ResponseTooLarge", "ApiChanged", "ApiUnreachable");
    vec![
        case(
            "endless blanks",
            endless(&times(b" ", 65_536)),
            too_large,
            too_large,
        ),
        case(
            "endless rows",
            endless(&times(b"0,", 32_768)),
            too_large,
            too_large,
        ),
        case("millions of rows", rows, changed, changed),
        case("broken bytes", broken, changed, changed),
        case("huge headers", headers, unreachable, unreachable),
    ]
}

/// Answers that are nested too deeply or have long texts.
fn deep() -> Vec<Case> {
    let nest = "[".repeat(100_000) + &"]".repeat(100_000);
    let name = "n".repeat(10 * MIB);
    let row = |item: String| reply(&[list(&item, 1, 1).as_bytes()]);
    let nested = format!(r#"{{"id":1,"serialNumber":"S","type":"BN","name":{nest},"x":{nest}}}"#);
    let named = format!(
        r#"{{"id":1,"name":"{name}","serialNumber":"S","type":"BN","hostName":"{name}","ancestry":{{"site":{{"name":"{name}"}}}}}}"#
    );
    let serial = format!(r#"{{"id":"{name}","serialNumber":"{name}","type":"BN"}}"#);
    let bare = reply(&[format!(r#"{{"data":{nest}}}"#).as_bytes()]);
    let unending = reply(&[&times(b"[", 10 * MIB)]);
    let (taken, skipped, changed) = ("1 rows, 0 skipped", "0 rows, 1 skipped", "ApiChanged");
    vec![
        case("deep nesting in a row", row(nested), taken, taken),
        case("deep nesting that never ends", unending, changed, changed),
        case("deep nesting instead of data", bare, changed, changed),
        case("names of 10 MB", row(named), taken, taken),
        case("ids and serials of 10 MB", row(serial), changed, skipped),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_answers_take_bounded_memory_and_have_a_reason() {
    for on_regions in [true, false] {
        for Case {
            what,
            reply: odd,
            regions,
            devices,
        } in large().into_iter().chain(deep())
        {
            let server = Server::start(move |path, _| match path {
                path if path.contains("login") => reply(&[LOGIN.as_bytes()]),
                path if path.contains("regions?") && on_regions => odd.clone(),
                path if path.contains("regions?") => reply(&[list(r#"{"id":1}"#, 1, 1).as_bytes()]),
                _ if !on_regions => odd.clone(),
                _ => reply(&[list(r#"{"serialNumber":"S","type":"BN"}"#, 1, 1).as_bytes()]),
            })
            .await;
            let (found, memory) = child(&server).await;
            let want = if on_regions { regions } else { devices };
            let place = if on_regions { "the regions" } else { "the devices" };
            assert_eq!(found, want, "{what} in {place}");
            assert!(memory <= MAX_MEMORY, "{what} in {place} took {memory} MiB");
            // The client reads at most 64 MiB, and sends the request at most four times. The socket buffers hold the rest, up to 36 MiB on a
            // busy machine.
            let sent = server.sent.load(Ordering::Relaxed);
            assert!(
                sent <= 4 * 104 * MIB,
                "{what} in {place}: {} MiB were sent",
                sent / MIB
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_regions_of_one_device_each() {
    const REGIONS: usize = 10_000;
    let server = Server::start(|path, body| {
        if path.contains("login") {
            return reply(&[LOGIN.as_bytes()]);
        }
        if let Some((_, from)) = path.split_once("regions?offset=") {
            let from: usize = from.split('&').next().unwrap().parse().unwrap();
            let ids: Vec<String> = (from..REGIONS.min(from + 1000))
                .map(|id| format!(r#"{{"id":{id}}}"#))
                .collect();
            return reply(&[list(&ids.join(","), ids.len(), REGIONS).as_bytes()]);
        }
        let id = body.split(['[', ']']).nth(1).unwrap();
        reply(&[list(&format!(r#"{{"serialNumber":"S{id}","type":"BN"}}"#), 1, 1).as_bytes()])
    })
    .await;
    let (found, memory) = child(&server).await;
    assert_eq!(found, format!("{REGIONS} rows, 0 skipped"));
    assert!(memory <= 100, "{memory} MiB");
    let connections = server.connections.load(Ordering::Relaxed);
    assert!(
        connections <= 64,
        "{connections} connections for 16 requests at once"
    );
}
