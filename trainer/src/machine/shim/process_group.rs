//! The processes of a group: the store by which they find each other, and tensors that they send each other (libtorch's
//! c10d over gloo, CPU memory). `process_group.cpp` has the C++ half.

#![expect(unsafe_code, reason = "calls into C++; each says why it is sound")]

use super::{Opaque, owned_text, result};
use std::ffi::{CString, c_char, c_int};
use std::net::TcpListener;
use std::os::fd::IntoRawFd;
use std::ptr::{self, NonNull};
use std::time::Duration;
use tch::Tensor;
use torch_sys::C_tensor;

unsafe extern "C" {
    fn mixfeed_store_open(
        host: *const c_char,
        port: u16,
        socket: c_int,
        prefix: *const c_char,
        timeout_ms: i64,
        result: *mut *mut Opaque,
    ) -> *mut c_char;
    fn mixfeed_store_free(store: *mut Opaque);
    fn mixfeed_store_set(store: *mut Opaque, key: *const c_char, value: *const c_char) -> *mut c_char;
    fn mixfeed_store_get(
        store: *mut Opaque,
        key: *const c_char,
        timeout_ms: i64,
        result: *mut *mut c_char,
    ) -> *mut c_char;
    fn mixfeed_store_add(
        store: *mut Opaque,
        key: *const c_char,
        number: i64,
        result: *mut i64,
    ) -> *mut c_char;
    fn mixfeed_links_open(
        store: *mut Opaque,
        rank: c_int,
        world: c_int,
        interface: *const c_char,
        address: *const c_char,
        timeout_ms: i64,
        result: *mut *mut Opaque,
    ) -> *mut c_char;
    fn mixfeed_links_free(links: *mut Opaque);
    fn mixfeed_links_set_timeout(links: *mut Opaque, timeout_ms: i64);
    fn mixfeed_links_exchange(
        links: *mut Opaque,
        peer: c_int,
        own: *const C_tensor,
        theirs: *const C_tensor,
    ) -> *mut c_char;
    fn mixfeed_links_broadcast(links: *mut Opaque, root: c_int, tensor: *const C_tensor) -> *mut c_char;
}

/// As C++ counts it.
fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1)
}

fn text(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|error| error.to_string())
}

/// A few texts that all processes of a group can read and write.
pub(crate) struct Store(NonNull<Opaque>);

// SAFETY: what is behind it belongs to no thread, and locks itself.
unsafe impl Send for Store {}

impl Store {
    /// Connects to the store at `host:port`, which this process itself serves if it has a `socket` that listens there.
    ///
    /// # Errors
    /// When it does not answer in time; the text is libtorch's.
    pub(crate) fn open(
        (host, port): (&str, u16),
        socket: Option<TcpListener>,
        prefix: &str,
        timeout: Duration,
    ) -> Result<Self, String> {
        let (host, prefix) = (text(host)?, text(prefix)?);
        let socket = socket.map_or(-1, IntoRawFd::into_raw_fd);
        let mut store = ptr::null_mut();
        // SAFETY: the texts live during the call, the socket is handed over, and the result is written when there is no error.
        result(unsafe {
            let timeout_ms = milliseconds(timeout);
            mixfeed_store_open(host.as_ptr(), port, socket, prefix.as_ptr(), timeout_ms, &raw mut store)
        })?;
        NonNull::new(store).map(Store).ok_or_else(|| "nothing was opened".to_owned())
    }

    /// Writes a value, in the place of the one that was there.
    ///
    /// # Errors
    /// When the store is gone.
    pub(crate) fn set(&self, key: &str, value: &str) -> Result<(), String> {
        let (key, value) = (text(key)?, text(value)?);
        // SAFETY: the store lives, and the texts do during the call.
        result(unsafe { mixfeed_store_set(self.0.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    /// Waits for a value.
    ///
    /// # Errors
    /// When there is none in time, or the store is gone.
    pub(crate) fn get(&self, key: &str, timeout: Duration) -> Result<String, String> {
        let key = text(key)?;
        let mut value = ptr::null_mut();
        // SAFETY: the store lives, the key does during the call, and the result is a text of its own when there is no error.
        unsafe {
            let timeout_ms = milliseconds(timeout);
            result(mixfeed_store_get(self.0.as_ptr(), key.as_ptr(), timeout_ms, &raw mut value))?;
            Ok(owned_text(value))
        }
    }

    /// Adds to a number, 0 at first, and gives what it is then.
    ///
    /// # Errors
    /// When the store is gone.
    pub(crate) fn add(&self, key: &str, number: i64) -> Result<i64, String> {
        let key = text(key)?;
        let mut sum = 0;
        // SAFETY: the store lives, the key does during the call, and the result is written when there is no error.
        result(unsafe { mixfeed_store_add(self.0.as_ptr(), key.as_ptr(), number, &raw mut sum) })?;
        Ok(sum)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: made by the function for it and freed once.
        unsafe { mixfeed_store_free(self.0.as_ptr()) };
    }
}

/// Where a process of a group is met by the others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Interface<'a> {
    /// Name of a network interface, as `eth0`; empty for none.
    pub(crate) name: &'a str,
    /// A name or address of this machine, where no interface is named; empty for what the machine calls itself.
    pub(crate) address: &'a str,
}

/// Connections with all other processes of a group.
pub(crate) struct Links(NonNull<Opaque>);

impl Links {
    /// Connects rank `rank` of `world`; all have to do so, by one store.
    ///
    /// # Errors
    /// When not all are there in time; the text is libtorch's.
    pub(crate) fn open(
        store: &Store,
        (rank, world): (u32, u32),
        interface: Interface<'_>,
        timeout: Duration,
    ) -> Result<Self, String> {
        let (name, address) = (text(interface.name)?, text(interface.address)?);
        let number = |number: u32| c_int::try_from(number).unwrap_or(c_int::MAX);
        let mut links = ptr::null_mut();
        // SAFETY: the store lives (C++ counts its own handle to it), the texts do during the call, and the result is written
        // when there is no error.
        result(unsafe {
            mixfeed_links_open(
                store.0.as_ptr(),
                number(rank),
                number(world),
                name.as_ptr(),
                address.as_ptr(),
                milliseconds(timeout),
                &raw mut links,
            )
        })?;
        NonNull::new(links).map(Links).ok_or_else(|| "nothing was opened".to_owned())
    }

    /// How long the other side of an exchange is waited for from now on; a broadcast, as long as the connections were.
    pub(crate) fn set_timeout(&self, timeout: Duration) {
        // SAFETY: the links live.
        unsafe { mixfeed_links_set_timeout(self.0.as_ptr(), milliseconds(timeout)) };
    }

    /// Sends `own` (contiguous, CPU) to `peer`, which sends one of the same kind and size.
    ///
    /// # Errors
    /// When the peer is gone, or silent for the timeout; the links are of no use then.
    pub(crate) fn exchange(&self, peer: u32, own: &Tensor) -> Result<Tensor, String> {
        let theirs = own.empty_like();
        let peer = c_int::try_from(peer).unwrap_or(c_int::MAX);
        // SAFETY: links and tensors live until the call is over, and after it gloo uses neither tensor.
        result(unsafe { mixfeed_links_exchange(self.0.as_ptr(), peer, own.as_ptr(), theirs.as_ptr()) })?;
        Ok(theirs)
    }

    /// Has `tensor` (contiguous, CPU, of one kind and size on all) hold on every rank what it holds on `root`.
    ///
    /// # Errors
    /// As for [`Links::exchange`].
    pub(crate) fn broadcast(&self, root: u32, tensor: &Tensor) -> Result<(), String> {
        let root = c_int::try_from(root).unwrap_or(c_int::MAX);
        // SAFETY: links and tensor live until the call is over.
        result(unsafe { mixfeed_links_broadcast(self.0.as_ptr(), root, tensor.as_ptr()) })
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // SAFETY: made by the function for it and freed once.
        unsafe { mixfeed_links_free(self.0.as_ptr()) };
    }
}

#[cfg(test)]
mod tests;
