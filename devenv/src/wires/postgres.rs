//! A wire of PostgreSQL's protocol (version 3, without TLS): the messages of the client are read one by one.
//!
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::effects::{Effects, Moment, Verdict};
use super::serve::{Serving, Still};
use crate::error::{Error, Result};

/// What an untyped first message may ask for before it says who it is.
const ASKS_FOR_TLS: u32 = 80_877_103;
const ASKS_FOR_GSS: u32 = 80_877_104;
const COMMIT: &str = "COMMIT";
/// As PostgreSQL bounds its own messages.
const LONGEST: usize = 1 << 30;

/// Passes a client's messages on. Each COMMIT is an effect.
#[derive(Debug)]
pub struct PostgresWire {
    serving: Serving,
    url: Url,
}

impl PostgresWire {
    /// To the server of this database, `postgres://…@127.0.0.1:port/…`.
    ///
    /// # Errors
    /// [`Error::Unexpected`] when the address is none, [`Error::Io`] when there is no port.
    pub async fn start(url: &str, effects: Arc<Effects>) -> Result<Self> {
        let no_address = || Error::Unexpected("no address of a PostgreSQL server".into());
        let mut url = Url::parse(url).map_err(|_| no_address())?;
        let server = (
            url.host_str().ok_or_else(no_address)?.to_owned(),
            url.port().unwrap_or(5432),
        );
        let serving = Serving::start(move |client, still| {
            let (server, effects) = (server.clone(), Arc::clone(&effects));
            async move {
                // How a connection ended is for the program to see, not for us.
                let _ = talk(client, server, effects, still).await;
            }
        })
        .await?;
        url.set_port(Some(serving.address.port()))
            .map_err(|()| no_address())?;
        Ok(Self { serving, url })
    }

    /// The database's address by this wire.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Whether the server is away: every connection is cut, and each that comes.
    pub fn set_away(&self, away: bool) {
        self.serving.set_away(away);
    }

    /// Whether the server stands still: connections stay open, and nothing goes by.
    pub fn set_still(&self, still: bool) {
        self.serving.set_still(still);
    }
}

/// What both directions of one connection know.
struct Shared {
    effects: Arc<Effects>,
    /// The next bytes from the server are the answer that is to be held.
    hold_answer: AtomicBool,
    still: Still,
}

async fn talk(
    client: TcpStream,
    server: (String, u16),
    effects: Arc<Effects>,
    still: Still,
) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let shared = Shared {
        effects,
        hold_answer: AtomicBool::new(false),
        still,
    };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        ended = asked(from_client, to_server, &shared) => ended,
        ended = answered(from_server, to_client, &shared) => ended,
    }
}

async fn asked(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, shared: &Shared) -> io::Result<()> {
    loop {
        let length = client.read_u32().await?;
        let message = body(&mut client, length).await?;
        shared.still.clone().over().await;
        server.write_u32(length).await?;
        server.write_all(&message).await?;
        let code = message.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
        if !matches!(code, ASKS_FOR_TLS | ASKS_FOR_GSS) {
            break;
        }
    }
    loop {
        let kind = client.read_u8().await?;
        let length = client.read_u32().await?;
        let message = body(&mut client, length).await?;
        if is_commit(kind, &message) {
            match shared.effects.arrives(COMMIT) {
                Some(Moment::Before) => hold(shared).await?,
                Some(Moment::After) => shared.hold_answer.store(true, Ordering::SeqCst),
                None => {}
            }
        }
        let mut whole = Vec::with_capacity(message.len() + 5);
        whole.push(kind);
        whole.extend(length.to_be_bytes());
        whole.extend(message);
        shared.still.clone().over().await;
        server.write_all(&whole).await?;
    }
}

async fn answered(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, shared: &Shared) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = server.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if shared.hold_answer.swap(false, Ordering::SeqCst) {
            hold(shared).await?;
        }
        shared.still.clone().over().await;
        client.write_all(buffer.get(..read).unwrap_or_default()).await?;
    }
}

async fn hold(shared: &Shared) -> io::Result<()> {
    match shared.effects.hold(COMMIT).await {
        Verdict::Pass => Ok(()),
        Verdict::Cut => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// What follows the length, which counts itself.
async fn body(client: &mut OwnedReadHalf, length: u32) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length)
        .ok()
        .and_then(|length| length.checked_sub(4))
        .filter(|length| *length <= LONGEST)
        .ok_or(io::ErrorKind::InvalidData)?;
    let mut message = vec![0; length];
    client.read_exact(&mut message).await?;
    Ok(message)
}

/// A simple query `COMMIT`, or the same sent to be prepared (after the statement's name).
pub(super) fn is_commit(kind: u8, message: &[u8]) -> bool {
    let mut texts = message.split(|byte| *byte == 0);
    let sql = match kind {
        b'Q' => texts.next(),
        b'P' => texts.nth(1),
        _ => None,
    };
    sql.is_some_and(|sql| {
        let sql = sql.trim_ascii();
        sql.strip_suffix(b";")
            .unwrap_or(sql)
            .eq_ignore_ascii_case(COMMIT.as_bytes())
    })
}
