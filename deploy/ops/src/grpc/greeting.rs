//! The first words of a connection: TLS if it is asked for, and the line with which HTTP/2 begins.
//!
//! Both are read before the connection is shown to the HTTP/2 library, which waits for them without end. A
//! peer that speaks something else is found out by its first bytes.

use super::connection::{Connection, Io, PREFACE};
use super::tls::ServerTls;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tonic::transport::server::TcpConnectInfo;

/// Why a connection was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// A port that is probed, most often.
    #[error("connection closed before the HTTP/2 preface")]
    Silent,
    #[error("no HTTP/2 preface before the deadline")]
    Late,
    #[error("it speaks TLS, which this side does not")]
    Tls,
    #[error("it does not speak HTTP/2")]
    Foreign,
    #[error("TLS handshake failed: {0}")]
    Handshake(io::Error),
    #[error("connection lost: {0}")]
    Lost(#[from] io::Error),
}

/// Greets a new connection. The caller sets the deadline.
pub(super) async fn greet(
    mut io: Box<dyn Io>,
    tls: Option<ServerTls>,
    peer: TcpConnectInfo,
    slot: OwnedSemaphorePermit,
) -> Result<Connection, Refusal> {
    if let Some(tls) = tls {
        io = Box::new(tls.accept(io).await.map_err(Refusal::Handshake)?);
    }
    preface(&mut io).await?;
    Ok(Connection::new(io, peer, slot))
}

async fn preface(io: &mut (impl AsyncRead + Unpin)) -> Result<(), Refusal> {
    let mut read = [0; PREFACE.len()];
    let mut length = 0;
    while length < read.len() {
        let more = io.read(&mut read[length..]).await?;
        if more == 0 {
            return Err(if length == 0 { Refusal::Silent } else { Refusal::Foreign });
        }
        length += more;
        if read[..length] != PREFACE[..length] {
            // The type and the major version of a TLS record.
            return Err(if read.starts_with(&[0x16, 0x03]) { Refusal::Tls } else { Refusal::Foreign });
        }
    }
    Ok(())
}
