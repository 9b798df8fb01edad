//! How the trainers of a group meet: what they tell each other through the store before the first message.
//!
//! | key | written by | says |
//! |---|---|---|
//! | `arrived/R` | each | how many have come as rank R |
//! | `run` | rank 0 | `run.toml` of the run that goes on, or that one begins |
//! | `hello/R` | each | what it is about to do |
//! | `verdict` | rank 0 | whether all are about to do the same |
//!
//! Whoever ends before that writes why in the place of what it owes, so that nobody waits for it.

use super::GroupError;
use super::messages::Peers;
use crate::group::Membership;
use crate::machine::shim::process_group::{Interface, Links, Store};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Names and values of what has to be equal on all ranks.
pub type Facts = BTreeMap<String, String>;

/// Between two looks for a second trainer of one rank. It delays nothing else.
const LOOK: Duration = Duration::from_millis(200);

/// How much longer than rank 0 waits for all, the others wait for what it found, and how long it stays for them to read that.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a key holds.
#[derive(Debug, Serialize, Deserialize)]
enum Word<T> {
    Said(T),
    Ended { rank: u32, code: u8, text: String },
    Refused { code: u8, text: String },
}

/// A trainer of a group that is at the store, before it is connected with the others.
pub struct Meeting {
    membership: Membership,
    store: Store,
    since: Instant,
    /// Whether it has told the store that it needs no more of it.
    is_done: Cell<bool>,
}

impl Meeting {
    /// Goes to the store; rank 0 opens it where no engine does.
    ///
    /// # Errors
    /// When it does not answer in time, its port is taken, or somebody else has this rank.
    pub fn open(mut membership: Membership) -> Result<Self, GroupError> {
        let since = Instant::now();
        let serves = membership.rank == 0 && !membership.is_served;
        let socket = if serves { Some(listen(&mut membership)?) } else { None };
        let store = open_store(&membership, socket).map_err(|cause| GroupError::NotMet {
            address: address(&membership),
            timeout: membership.timeout,
            cause: format!("no store answers there ({cause})"),
        })?;
        let meeting = Meeting { membership, store, since, is_done: Cell::new(false) };
        let rank = meeting.rank();
        if meeting.said(meeting.store.add(&format!("arrived/{rank}"), 1))? > 1 {
            meeting.said(meeting.store.add("twice", i64::from(rank) + 1))?;
            return Err(GroupError::Twice(rank));
        }
        Ok(meeting)
    }

    /// This trainer's rank.
    #[must_use]
    pub fn rank(&self) -> u32 {
        self.membership.rank
    }

    /// Where it stands in the group.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Where the store is.
    #[must_use]
    pub fn address(&self) -> String {
        address(&self.membership)
    }

    /// As rank 0, tells which run goes on (its `run.toml`), or that one begins.
    ///
    /// # Errors
    /// When the store is gone.
    pub fn tell_run(&self, run: Option<&str>) -> Result<(), GroupError> {
        self.write("run", &Word::Said(run))
    }

    /// As any other rank, waits for what [`Meeting::tell_run`] tells.
    ///
    /// # Errors
    /// When rank 0 does not tell in time, or has ended.
    pub fn ask_run(&self) -> Result<Option<String>, GroupError> {
        self.read("run", self.membership.timeout, "rank 0 does not answer")
    }

    /// Makes sure that all ranks are there and have the same facts, and connects them.
    ///
    /// # Errors
    /// When somebody is missing, or something differs. All ranks get the same error.
    pub fn agree(self, facts: &Facts) -> Result<Peers, GroupError> {
        let Membership { rank, world, timeout, .. } = self.membership;
        self.write(&format!("hello/{rank}"), &Word::Said(facts))?;
        if rank == 0 {
            let compared = (1..world).try_for_each(|other| self.compare(other, facts));
            if let Err(error) = compared {
                let (code, text) = (error.exit_code(), error.to_string());
                if self.write("verdict", &Word::<()>::Refused { code, text }).is_ok() {
                    self.wait_for_readers(!matches!(error, GroupError::NotMet { .. } | GroupError::Twice(_)));
                }
                return Err(error);
            }
            self.write("verdict", &Word::Said(()))?;
        } else {
            // Rank 0 has its own time to find out who is missing, and says it then.
            self.read::<()>("verdict", timeout + FAREWELL, "rank 0 does not answer")?;
        }
        let name = interface();
        let own = if is_loopback(&self.membership.host) { self.membership.host.as_str() } else { "" };
        let interface = Interface { name: &name, address: own };
        let links = Links::open(&self.store, (rank, world), interface, timeout).map_err(|cause| {
            self.not_met(format!("the trainers cannot be connected with one another ({cause})"))
        })?;
        Ok(Peers::new(self.membership, self.store, links))
    }

    /// Tells the others why this trainer ends before training begins, as far as they can be told.
    pub fn abandon(&self, text: &str, code: u8) {
        let rank = self.rank();
        let word = Word::<()>::Ended { rank, code, text: text.to_owned() };
        let keys = if rank == 0 {
            vec!["run".to_owned(), "verdict".to_owned()]
        } else {
            vec![format!("hello/{rank}")]
        };
        let told = keys.iter().all(|key| self.write(key, &word).is_ok());
        if rank == 0 && told {
            self.wait_for_readers(true);
        } else {
            self.needs_no_more();
        }
    }

    /// Whether rank `other` is about to do the same as rank 0.
    fn compare(&self, other: u32, facts: &Facts) -> Result<(), GroupError> {
        let key = format!("hello/{other}");
        let theirs: Facts = loop {
            let left = self.membership.timeout.saturating_sub(self.since.elapsed());
            let twice = self.said(self.store.add("twice", 0))?;
            if let Ok(rank @ 1..) = u32::try_from(twice) {
                return Err(GroupError::Twice(rank - 1));
            }
            match self.store.get(&key, LOOK.min(left)) {
                Ok(text) => break self.parse(&text)?,
                Err(_) if left > LOOK => {}
                Err(_) => return Err(self.not_met(format!("rank {other} did not come"))),
            }
        };
        let names = facts.keys().chain(theirs.keys());
        let value = |facts: &Facts, name: &str| facts.get(name).map_or("nothing".to_owned(), Clone::clone);
        for name in names {
            let (ours, theirs) = (value(facts, name), value(&theirs, name));
            if ours != theirs {
                return Err(GroupError::Differs { rank: other, what: name.clone(), theirs, ours });
            }
        }
        Ok(())
    }

    fn write<T: Serialize>(&self, key: &str, word: &Word<T>) -> Result<(), GroupError> {
        let text = serde_json::to_string(word).expect("words are plain data");
        self.said(self.store.set(key, &text))
    }

    fn read<T: for<'a> Deserialize<'a>>(
        &self,
        key: &str,
        timeout: Duration,
        missing: &str,
    ) -> Result<T, GroupError> {
        let text = self.store.get(key, timeout);
        let text = text.map_err(|cause| self.not_met(format!("{missing} ({cause})")))?;
        let word = self.parse(&text);
        if word.is_err() || key == "verdict" {
            self.needs_no_more();
        }
        word
    }

    fn parse<T: for<'a> Deserialize<'a>>(&self, text: &str) -> Result<T, GroupError> {
        match serde_json::from_str(text) {
            Ok(Word::Said(word)) => Ok(word),
            Ok(Word::Ended { rank, code, text }) => Err(GroupError::Ended { rank, code, text }),
            Ok(Word::Refused { code, text }) => Err(GroupError::Refused { code, text }),
            Err(error) => {
                Err(self.not_met(format!("the store holds something else than trainers write ({error})")))
            }
        }
    }

    /// Tells the store, which rank 0 may be, that this trainer has read all that there will be for it. Once.
    fn needs_no_more(&self) {
        if !self.is_done.replace(true) {
            let _ = self.store.add("read", 1);
        }
    }

    /// Waits until others have read what there was for them, since rank 0 may be the store: all of them, as long as for their
    /// coming, or those that have come, for a moment.
    fn wait_for_readers(&self, all: bool) {
        let Membership { world, timeout, .. } = self.membership;
        let has_come =
            |rank: &u32| self.store.add(&format!("arrived/{rank}"), 0).is_ok_and(|count| count > 0);
        let (readers, end) = if all {
            (world as usize - 1, self.since + timeout)
        } else {
            ((1..world).filter(has_come).count(), Instant::now() + FAREWELL)
        };
        let is_missing = |read: i64| usize::try_from(read).unwrap_or(0) < readers;
        while Instant::now() < end && self.store.add("read", 0).is_ok_and(is_missing) {
            std::thread::sleep(LOOK / 10);
        }
    }

    fn not_met(&self, cause: String) -> GroupError {
        GroupError::NotMet { address: self.address(), timeout: self.membership.timeout, cause }
    }

    /// What the store says, if it still says something.
    fn said<T>(&self, said: Result<T, String>) -> Result<T, GroupError> {
        said.map_err(|cause| self.not_met(format!("the store is gone ({cause})")))
    }
}

/// Connects to the store, for as long as the others are waited for at most: libtorch itself waits without end for a word of
/// whatever takes the connection. A thread that is left behind so ends with the process, which has nothing else to do.
fn open_store(membership: &Membership, socket: Option<TcpListener>) -> Result<Store, String> {
    let Membership { host, port, timeout, attempt, .. } = membership.clone();
    let (opened, waited_for) = std::sync::mpsc::channel();
    let open = move || {
        let _ = opened.send(Store::open((&host, port), socket, &format!("mixfeed/{attempt}"), timeout));
    };
    // No work of a pool: there may be nothing left to join.
    #[allow(clippy::disallowed_methods)]
    let thread = std::thread::Builder::new().name("mixfeed-store".to_owned()).spawn(open);
    thread.map_err(|error| error.to_string())?;
    match waited_for.recv_timeout(timeout + LOOK) {
        Ok(store) => store,
        Err(_) => Err("nothing there speaks as one".to_owned()),
    }
}

fn address(membership: &Membership) -> String {
    let Membership { host, port, .. } = membership;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The network interface that people name for gloo, by the variable that PyTorch's programs know.
#[allow(clippy::disallowed_methods)] // It is no setting of this program.
fn interface() -> String {
    std::env::var("GLOO_SOCKET_IFNAME").unwrap_or_default()
}

/// Listens where the others look for the store. On a loopback address nobody else can reach it; a name may be resolved to another
/// address elsewhere, so that for any other all of this machine are taken.
fn listen(membership: &mut Membership) -> Result<TcpListener, GroupError> {
    let port = membership.port;
    let bound = if is_loopback(&membership.host) {
        TcpListener::bind((membership.host.as_str(), port))
    } else {
        TcpListener::bind(("::", port)).or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse => Err(error),
            // A machine without IPv6.
            _ => TcpListener::bind(("0.0.0.0", port)),
        })
    };
    let bound = bound.and_then(|socket| Ok((socket.local_addr()?.port(), socket)));
    let (port, socket) = bound.map_err(|source| GroupError::Bind { address: address(membership), source })?;
    membership.port = port;
    Ok(socket)
}
