//! Connections as they come: those that greet are handed on, all others are gone in time.
#![allow(clippy::unwrap_used)]

use mixfeed_ops::grpc::{Incoming, Limits, Listener, RefusedConnections, incoming};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt as _;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Time to greet, here.
const GREETING: Duration = Duration::from_millis(400);

/// Far more than any of this takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);

async fn start(connections: usize, greeting: Duration) -> (SocketAddr, Incoming) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (
        address,
        incoming(
            Listener::Tcp(listener),
            None,
            Limits { connections, greeting },
            RefusedConnections::default(),
        ),
    )
}

/// Waits until the other side has closed.
async fn closed(stream: &mut TcpStream) {
    let mut byte = [0];
    // Closed with or without a word for what was not read.
    let read = tokio::time::timeout(LONG, stream.read(&mut byte)).await.expect("it is closed in time");
    assert_eq!(read.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_connection_that_greets_is_handed_on_with_all_that_it_said() {
    let (address, mut incoming) = start(4, LONG).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // In pieces, as a network may cut it.
    for piece in [&PREFACE[..5], &PREFACE[5..], b"more"] {
        stream.write_all(piece).await.unwrap();
    }
    let mut connection = incoming.next().await.unwrap().unwrap();
    let mut said = vec![0; PREFACE.len() + 4];
    connection.read_exact(&mut said).await.unwrap();
    assert_eq!(said, [PREFACE, b"more"].concat());
    connection.write_all(b"answer").await.unwrap();
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"answer");
}

#[tokio::test]
async fn silence_and_a_byte_now_and_then_are_cut_off_when_the_time_is_over() {
    let (address, _incoming) = start(4, GREETING).await;
    let started = Instant::now();
    let (mut silent, mut slow) =
        (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
    let slowly = async {
        for byte in PREFACE {
            if slow.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(GREETING / 8).await;
        }
        closed(&mut slow).await;
    };
    tokio::join!(closed(&mut silent), slowly);
    assert!(started.elapsed() >= GREETING);
}

#[tokio::test]
async fn whatever_is_not_http2_is_closed_at_once() {
    // Nobody would wait for so long: it is the first bytes that end them.
    let (address, _incoming) = start(8, LONG * 100).await;
    for said in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC],
        b"PRI * HTTP/2.1",
        &[0; 64],
        b"\n",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(said).await.unwrap();
        closed(&mut stream).await;
    }
    let mut cut = TcpStream::connect(address).await.unwrap();
    cut.write_all(&PREFACE[..10]).await.unwrap();
    cut.shutdown().await.unwrap();
    closed(&mut cut).await;
}

#[tokio::test]
async fn there_are_no_more_connections_than_places_and_a_place_comes_free_again() {
    let (address, mut incoming) = start(2, LONG).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        held.push((stream, incoming.next().await.unwrap().unwrap()));
    }
    let mut third = TcpStream::connect(address).await.unwrap();
    closed(&mut third).await;
    drop(held.pop());
    let mut fourth = TcpStream::connect(address).await.unwrap();
    fourth.write_all(PREFACE).await.unwrap();
    assert!(incoming.next().await.unwrap().is_ok());
}

#[tokio::test]
async fn the_end_waits_for_nobody_who_has_not_greeted() {
    let (address, incoming) = start(4, LONG * 100).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    drop(incoming);
    closed(&mut silent).await;
    assert!(TcpStream::connect(address).await.is_err(), "and nobody is let in any more");
}
