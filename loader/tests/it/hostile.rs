//! A loader process and its enemies, who speak TCP and HTTP/2 as no honest client does. They are closed or
//! refused, what the process holds stays bounded, and a client that does no harm is served meanwhile.

pub(crate) mod frames;

use crate::commands::{run, serving};
use frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, call, frame,
    greeting,
};
use mixfeed_client::{BlockingStream, StreamConfig, StreamSpec};
use mixfeed_testing::{Serving, signal};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// What attacks may cost the process in memory, at most.
const MEMORY_BYTES: u64 = 32 << 20;

/// The loader's time to greet, and some for a busy machine.
const CUT_OFF: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(5);

fn start() -> Serving {
    serving(&["--data", "synthetic:64", "--listen", "127.0.0.1:0", "--workers", "1"])
}

fn dial(loader: &Serving) -> TcpStream {
    let stream = TcpStream::connect(&loader.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads until the other side closes, and returns what it said; nothing if it did not close in time.
fn until_closed(stream: &mut TcpStream, within: Duration) -> Option<Vec<u8>> {
    let (deadline, mut said, mut buffer) = (Instant::now() + within, Vec::new(), [0; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
        match stream.read(&mut buffer) {
            Ok(0) => return Some(said),
            Ok(length) => said.extend(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return None,
            Err(_reset) => return Some(said),
        }
    }
}

/// A client that does no harm: it reads without end.
fn client(loader: &Serving) -> BlockingStream {
    let spec = StreamSpec { batch_size: 16, ..StreamSpec::default() };
    let mut config = StreamConfig::new(vec![loader.address.parse().unwrap()], spec);
    config.loader_timeout = Duration::from_secs(30);
    config.tuning.window_batches = 4;
    BlockingStream::open(config).unwrap()
}

fn is_served(client: &mut BlockingStream) {
    for _ in 0..8 {
        client.next().unwrap().unwrap();
    }
}

/// Bytes of memory that a process has (`VmRSS`) or had at most (`VmHWM`).
pub(crate) fn memory(child: &Child, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn descriptors(child: &Child) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().count()
}

/// Whether tests that take minutes were asked for.
fn slow() -> bool {
    mixfeed_ops::testing::require("slow", mixfeed_ops::testing::slow()).is_some()
}

#[test]
fn whoever_does_not_greet_is_cut_off_and_holds_up_neither_clients_nor_the_end() {
    let mut loader = start();
    let mut honest = client(&loader);
    let started = Instant::now();
    let mut silent: Vec<_> = (0..50).map(|_| dial(&loader)).collect();
    let mut slow = dial(&loader);
    for said in [
        &b"GET /metrics HTTP/1.1\r\nHost: loader\r\n\r\n"[..],
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03],
        &[0x9F, 0x00, 0xC3, 0x28, 0x11],
    ] {
        let mut stream = dial(&loader);
        stream.write_all(said).unwrap();
        assert!(until_closed(&mut stream, SOON).is_some(), "{said:?}");
        assert!(started.elapsed() < CUT_OFF, "at once, not when the time to greet is over");
    }
    is_served(&mut honest);
    // One byte a second is no greeting either.
    for byte in frames::PREFACE {
        if slow.write_all(&[*byte]).is_err() || until_closed(&mut slow, Duration::from_secs(1)).is_some() {
            break;
        }
    }
    assert!(started.elapsed() >= CUT_OFF && started.elapsed() < CUT_OFF + SOON, "{:?}", started.elapsed());
    for stream in &mut silent {
        assert!(until_closed(stream, SOON).is_some());
    }
    is_served(&mut honest);
    drop(honest);

    let late: Vec<_> = (0..50).map(|_| dial(&loader)).collect();
    let asked = Instant::now();
    signal(&loader.child, "-TERM");
    assert_eq!(loader.child.wait().unwrap().code(), Some(0));
    assert!(asked.elapsed() < CUT_OFF, "the silent ones were not waited for: {:?}", asked.elapsed());
    drop(late);
}

#[test]
fn who_greets_and_is_silent_then_is_dropped_when_it_does_not_answer() {
    if !slow() {
        return;
    }
    let loader = start();
    let mut stream = dial(&loader);
    stream.write_all(&greeting()).unwrap();
    let started = Instant::now();
    assert!(until_closed(&mut stream, Duration::from_secs(60)).is_some());
    assert!(started.elapsed() > Duration::from_secs(15), "{:?}", started.elapsed());
}

/// Something that no honest client says, and whether it must end the connection.
struct Attack {
    name: &'static str,
    said: Vec<u8>,
    /// How often, as long as somebody listens.
    times: usize,
    ends: Ends,
}

#[derive(PartialEq)]
enum Ends {
    /// The connection ends.
    Connection,
    /// The call ends, with or without its connection.
    Call,
    /// It may go on, as long as it costs nothing.
    Nothing,
}

fn attacks() -> Vec<Attack> {
    let attack = |name, said: Vec<Vec<u8>>, times, ends| Attack { name, said: said.concat(), times, ends };
    let open = || frame(HEADERS, END_HEADERS, 1, &call(&[]));
    let big = frames::header("x-metadata", &vec![b'x'; 1 << 20]);
    let mut pieces = big.chunks(16 << 10).map(|piece| frame(CONTINUATION, 0, 1, piece)).collect::<Vec<_>>();
    pieces.push(frame(CONTINUATION, END_HEADERS, 1, &[]));
    let metadata = [vec![frame(HEADERS, 0, 1, &call(&[]))], pieces].concat();
    let resets = (0..20_000_u32).flat_map(|call_number| {
        let stream = 2 * call_number + 1;
        [frame(HEADERS, END_HEADERS, stream, &call(&[])), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])]
    });
    let calls = (0..2_000_u32).map(|number| frame(HEADERS, END_HEADERS, 2 * number + 1, &call(&[])));
    vec![
        attack("rapid reset", resets.collect(), 1, Ends::Nothing),
        attack("two thousand calls at a time", calls.collect(), 1, Ends::Nothing),
        attack("headers without end", vec![frame(HEADERS, 0, 1, &call(&[]))], 1, Ends::Nothing),
        attack(
            "continuation without end",
            [vec![frame(HEADERS, 0, 1, &call(&[]))], vec![frame(CONTINUATION, 0, 1, &[]); 100_000]].concat(),
            1,
            Ends::Connection,
        ),
        attack("settings", vec![frame(SETTINGS, 0, 0, &[]); 1000], 1000, Ends::Nothing),
        attack("pings", vec![frame(PING, 0, 0, &[7; 8]); 1000], 1000, Ends::Nothing),
        attack("a mebibyte of metadata", metadata, 1, Ends::Call),
        attack(
            "a message of 4 GiB - 1",
            vec![open(), frame(DATA, 0, 1, &[0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3])],
            1,
            Ends::Call,
        ),
        attack(
            "a compression that nobody knows",
            vec![
                frame(HEADERS, END_HEADERS, 1, &call(&[("grpc-encoding", b"zstd9")])),
                frame(DATA, END_STREAM, 1, &[1, 0, 0, 0, 3, 1, 2, 3]),
            ],
            1,
            Ends::Call,
        ),
        attack(
            "a message that says it is compressed",
            vec![open(), frame(DATA, END_STREAM, 1, &[1, 0, 0, 0, 3, 1, 2, 3])],
            1,
            Ends::Call,
        ),
        attack("no message", vec![open(), frame(DATA, END_STREAM, 1, &[0, 0, 0, 0, 9, 1])], 1, Ends::Call),
        attack("a frame cut short", vec![vec![0, 0, 100, DATA, 0, 0, 0, 0, 1, 1, 2]], 1, Ends::Connection),
        attack("a frame of 16 MiB", vec![vec![0xFF; 3], vec![DATA, 0, 0, 0, 0, 1, 0]], 1, Ends::Connection),
        attack("data for no call", vec![frame(DATA, 0, 7, &[0; 100])], 1, Ends::Connection),
        attack("noise", vec![(0..4096_u32).map(|i| (i * i % 251) as u8).collect()], 1, Ends::Connection),
    ]
}

/// Says it, reading nothing until it is said or the other side does not take any more; then returns what was
/// answered, and whether the connection ended.
fn carry_out(attack: &Attack, loader: &Serving) -> (Vec<u8>, bool) {
    let mut stream = dial(loader);
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    stream.write_all(&greeting()).unwrap();
    for _ in 0..attack.times {
        // Not taken any more, or closed.
        if stream.write_all(&attack.said).is_err() {
            break;
        }
    }
    if attack.ends != Ends::Nothing {
        // Nothing more will come, and what was said stands.
        let _ = stream.shutdown(Shutdown::Write);
    }
    let within = if attack.ends == Ends::Nothing { Duration::from_millis(200) } else { SOON };
    let (deadline, mut said, mut buffer) = (Instant::now() + within, Vec::new(), vec![0; 64 << 10]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left)).unwrap();
        match stream.read(&mut buffer) {
            Ok(0) => return (said, true),
            Ok(length) if said.len() < 1 << 20 && Instant::now() < deadline => said.extend(&buffer[..length]),
            Ok(_) => return (said, false),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return (said, false);
            }
            Err(_reset) => return (said, true),
        }
    }
}

#[test]
fn floods_and_nonsense_are_refused_cost_little_and_disturb_no_client() {
    let loader = start();
    let mut honest = client(&loader);
    is_served(&mut honest);
    let before = memory(&loader.child, "VmRSS");
    // From here on, the most that it had is counted anew.
    std::fs::write(format!("/proc/{}/clear_refs", loader.child.id()), "5").unwrap();
    for attack in attacks() {
        let (said, closed) = carry_out(&attack, &loader);
        let answered = frames::read(&said);
        let gone = answered.iter().any(|(kind, _, _)| *kind == GOAWAY);
        // The call ends by a reset, or by headers after which nothing comes.
        let ended = answered.iter().any(|&(kind, flags, stream)| {
            stream == 1 && (kind == RST_STREAM || kind == HEADERS && flags & END_STREAM != 0)
        });
        let batches = answered.iter().any(|&(kind, ..)| kind == DATA);
        let good = match attack.ends {
            Ends::Connection => closed || gone,
            Ends::Call => (closed || gone || ended) && !batches,
            Ends::Nothing => !batches,
        };
        assert!(good, "{}: closed {closed}, {answered:?}", attack.name);
        is_served(&mut honest);
        assert!(run(&["healthcheck", "--address", &loader.address]).status.success(), "{}", attack.name);
    }
    let grown = memory(&loader.child, "VmHWM").saturating_sub(before);
    assert!(grown <= MEMORY_BYTES, "{} KiB more", grown >> 10);
    eprintln!("{} attacks: at most {} KiB more", attacks().len(), grown >> 10);
}

/// Calls `cycle` many times, drops what it holds, and waits until the process has as many descriptors as before.
fn gives_back(loader: &Serving, cycles: usize, mut cycle: impl FnMut()) {
    let before = descriptors(&loader.child);
    for _ in 0..cycles {
        cycle();
    }
    drop(cycle);
    let deadline = Instant::now() + 2 * CUT_OFF;
    while descriptors(&loader.child) > before {
        let now = descriptors(&loader.child);
        assert!(Instant::now() < deadline, "{now} descriptors, {before} before");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn comes_and_goes(cycles: usize) {
    let loader = start();
    let mut honest = client(&loader);
    is_served(&mut honest);
    let memory_before = memory(&loader.child, "VmRSS");
    let mut number = 0;
    gives_back(&loader, cycles, || {
        let mut stream = dial(&loader);
        match number % 3 {
            0 => {}
            1 => stream.write_all(frames::PREFACE).unwrap(),
            _ => stream.write_all(&greeting()).unwrap(),
        }
        number += 1;
    });
    is_served(&mut honest);
    // Calls that are opened and cancelled, on one connection after another, a hundred on each.
    let mut connection = None;
    let mut call_number = 0;
    let dial_and_greet = || {
        let mut connection = dial(&loader);
        connection.write_all(&greeting()).unwrap();
        connection
    };
    gives_back(&loader, cycles, move || {
        let open = connection.get_or_insert_with(dial_and_greet);
        let stream = 2 * call_number + 1;
        let headers = frame(HEADERS, END_HEADERS, stream, &call(&[]));
        let reset = frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        call_number += 1;
        // It may be closed for too many resets, which is as good.
        if open.write_all(&[headers, reset].concat()).is_err() || call_number == 100 {
            connection = None;
            call_number = 0;
        }
    });
    is_served(&mut honest);
    let grown = memory(&loader.child, "VmRSS").saturating_sub(memory_before);
    assert!(grown <= MEMORY_BYTES, "{} KiB more", grown >> 10);
    eprintln!("{cycles} connections and {cycles} calls: {} KiB more", grown >> 10);
}

#[test]
fn what_comes_and_goes_leaves_no_descriptor_behind() {
    comes_and_goes(1000);
}

#[test]
fn ten_thousand_that_come_and_go_leave_no_descriptor_behind() {
    if slow() {
        comes_and_goes(10_000);
    }
}

#[test]
fn a_loader_with_64_descriptors_serves_on_while_200_dial() {
    let mut command = Command::new("sh");
    let binary = Path::new(env!("CARGO_BIN_EXE_mixfeed-loader"));
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(binary);
    command.args(["serve", "--data", "synthetic:64", "--listen", "127.0.0.1:0", "--workers", "1"]);
    let mut loader = Serving::of(command);
    let mut honest = client(&loader);
    is_served(&mut honest);
    let dialers: Vec<_> = (0..200).map(|_| dial(&loader)).collect();
    for _ in 0..20 {
        is_served(&mut honest);
    }
    assert!(descriptors(&loader.child) < 64, "some are left for data");
    // The silent ones lose their places, and another client gets one.
    is_served(&mut client(&loader));
    drop(dialers);
    let log = loader.lines();
    assert!(log.find("too many connections", SOON).is_some());
    assert!(log.find("too many connections", Duration::from_millis(100)).is_none(), "once for the burst");
}
