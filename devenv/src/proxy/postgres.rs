//! A proxy for PostgreSQL's protocol (version 3, without TLS). It reads the client's messages one by one.
//!
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::interceptor::{Disposition, Interceptor, Moment};
use super::listener::{FreezeWatch, ProxyListener};
use crate::error::{Error, Result};

/// `SSLRequest` and `GSSENCRequest` may precede the startup message.
const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
const COMMIT: &str = "COMMIT";
/// PostgreSQL's own limit.
const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// Forwards a client's messages. Its side effects are the COMMITs.
#[derive(Debug)]
pub struct PostgresProxy {
    listener: ProxyListener,
    url: Url,
}

impl PostgresProxy {
    /// A proxy to the server of this database, `postgres://…@127.0.0.1:port/…`.
    ///
    /// # Errors
    /// [`Error::Unexpected`] when the URL is invalid, [`Error::Io`] when no port is free.
    pub async fn start(url: &str, interceptor: Arc<Interceptor>) -> Result<Self> {
        let invalid_url = || Error::Unexpected("not the URL of a PostgreSQL server".into());
        let mut url = Url::parse(url).map_err(|_| invalid_url())?;
        let server = (
            url.host_str().ok_or_else(invalid_url)?.to_owned(),
            url.port().unwrap_or(5432),
        );
        let listener = ProxyListener::start(move |client, freeze| {
            let (server, interceptor) = (server.clone(), Arc::clone(&interceptor));
            async move {
                // Connection errors are the program's to handle.
                let _ = serve(client, server, interceptor, freeze).await;
            }
        })
        .await?;
        url.set_port(Some(listener.address.port()))
            .map_err(|()| invalid_url())?;
        Ok(Self { listener, url })
    }

    /// The database's URL through this proxy.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// While set, open connections are dropped and new ones closed at once.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.listener.set_unreachable(unreachable);
    }

    /// While set, connections stay open and nothing is forwarded.
    pub fn set_frozen(&self, frozen: bool) {
        self.listener.set_frozen(frozen);
    }
}

/// What both directions of one connection share.
struct Connection {
    interceptor: Arc<Interceptor>,
    /// The next bytes from the server are the response to hold.
    hold_response: AtomicBool,
    freeze: FreezeWatch,
}

async fn serve(
    client: TcpStream,
    server: (String, u16),
    interceptor: Arc<Interceptor>,
    freeze: FreezeWatch,
) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let connection = Connection {
        interceptor,
        hold_response: AtomicBool::new(false),
        freeze,
    };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        ended = forward_requests(from_client, to_server, &connection) => ended,
        ended = forward_responses(from_server, to_client, &connection) => ended,
    }
}

async fn forward_requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    connection: &Connection,
) -> io::Result<()> {
    forward_startup(&mut client, &mut server, connection).await?;
    loop {
        let kind = client.read_u8().await?;
        let length = client.read_u32().await?;
        let body = read_body(&mut client, length).await?;
        if is_commit(kind, &body) {
            match connection.interceptor.record(COMMIT) {
                Some(Moment::Before) => hold(connection).await?,
                Some(Moment::After) => connection.hold_response.store(true, Ordering::SeqCst),
                None => {}
            }
        }
        let mut message = Vec::with_capacity(body.len() + 5);
        message.push(kind);
        message.extend(length.to_be_bytes());
        message.extend(body);
        connection.freeze.clone().before_request().await;
        server.write_all(&message).await?;
    }
}

/// Forwards the untyped messages at the start of a connection.
async fn forward_startup(
    client: &mut OwnedReadHalf,
    server: &mut OwnedWriteHalf,
    connection: &Connection,
) -> io::Result<()> {
    loop {
        let length = client.read_u32().await?;
        let body = read_body(client, length).await?;
        connection.freeze.clone().before_request().await;
        server.write_u32(length).await?;
        server.write_all(&body).await?;
        let code = body.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
        if !matches!(code, SSL_REQUEST | GSSENC_REQUEST) {
            return Ok(());
        }
    }
}

async fn forward_responses(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    connection: &Connection,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = server.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if connection.hold_response.swap(false, Ordering::SeqCst) {
            hold(connection).await?;
        }
        connection.freeze.clone().before_response().await;
        client.write_all(buffer.get(..read).unwrap_or_default()).await?;
    }
}

async fn hold(connection: &Connection) -> io::Result<()> {
    match connection.interceptor.hold(COMMIT).await {
        Disposition::Forward => Ok(()),
        Disposition::DropConnection => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// The rest of a message after its length field, which includes itself.
async fn read_body(client: &mut OwnedReadHalf, length: u32) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length)
        .ok()
        .and_then(|length| length.checked_sub(4))
        .filter(|length| *length <= MAX_MESSAGE_BYTES)
        .ok_or(io::ErrorKind::InvalidData)?;
    let mut body = vec![0; length];
    client.read_exact(&mut body).await?;
    Ok(body)
}

/// Whether the message is a simple query `COMMIT`, or a Parse message with that text.
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
