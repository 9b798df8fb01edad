//! Standard input as the tie to whoever started the process: it ends when they do, however that comes about.
//!
//! The starter keeps the writing end of a pipe and never writes. The kernel closes it with the last process that has it,
//! also after SIGKILL, which no handler of the starter's could tell.

use std::future::Future;
use std::io;
use std::os::fd::AsFd as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

/// Takes standard input over; the future resolves when it ends. What is written to it is dropped.
///
/// # Errors
/// When it is no pipe.
///
/// # Panics
/// When called outside a tokio runtime.
pub fn ended() -> io::Result<impl Future<Output = ()>> {
    let mut input = Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    Ok(async move {
        let mut dropped = [0; 256];
        // An error is an end, too: nobody could tell the other one.
        while input.read(&mut dropped).await.is_ok_and(|bytes| bytes > 0) {}
    })
}
