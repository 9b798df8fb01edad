use super::*;
use std::thread::JoinHandle;
use std::time::Instant;
use tch::{Device, Kind};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs `work` as each rank of a group on this machine.
fn in_group<T: Send + 'static>(world: u32, work: fn(u32, &Store, &Links) -> T) -> Vec<T> {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let mut socket = Some(socket);
    let rank = |rank: u32, socket: Option<TcpListener>| {
        move || {
            let store = Store::open(("127.0.0.1", port), socket, "test", TIMEOUT).unwrap();
            let interface = Interface { address: "127.0.0.1", ..Interface::default() };
            let links = Links::open(&store, (rank, world), interface, TIMEOUT).unwrap();
            let wait_for_all = |key: &str| {
                while store.add(key, 0).unwrap() < i64::from(world) {
                    std::thread::yield_now();
                }
            };
            // Nobody leaves before all are connected.
            store.add("linked", 1).unwrap();
            wait_for_all("linked");
            let done = work(rank, &store, &links);
            // The other end notices at once; whoever serves the store stays until all are done with it.
            drop(links);
            store.add("done", 1).unwrap();
            if rank == 0 {
                wait_for_all("done");
            }
            done
        }
    };
    // A test may start threads.
    #[allow(clippy::disallowed_methods)]
    let threads: Vec<JoinHandle<T>> =
        (0..world).map(|number| std::thread::spawn(rank(number, socket.take()))).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn tensors_are_exchanged_and_broadcast_as_they_are() {
    let received = in_group(4, |rank, _, links| {
        let own = Tensor::from_slice(&[rank as f32 + 0.5, -0.0]);
        let theirs: Vec<f32> = links.exchange(rank ^ 1, &own).unwrap().try_into().unwrap();
        let whole = Tensor::from_slice(&[i64::from(rank)]);
        let far: Vec<i64> = links.exchange(rank ^ 2, &whole).unwrap().try_into().unwrap();
        let told = Tensor::from_slice(&[if rank == 3 { 7_u8 } else { 0 }]);
        links.broadcast(3, &told).unwrap();
        (theirs, far, Vec::<u8>::try_from(told).unwrap())
    });
    for (rank, (theirs, far, told)) in received.into_iter().enumerate() {
        assert_eq!(theirs[0].to_bits(), ((rank ^ 1) as f32 + 0.5).to_bits());
        assert!(theirs[1].is_sign_negative(), "every bit arrives");
        assert_eq!((far, told), (vec![rank as i64 ^ 2], vec![7]));
    }
}

#[test]
fn texts_are_read_by_all_and_numbers_are_added_up() {
    let read = in_group(2, |rank, store, _| {
        store.set(&format!("hello/{rank}"), &format!("von {rank} – {{\"ü\": 1}}")).unwrap();
        store.get(&format!("hello/{}", 1 - rank), TIMEOUT).unwrap()
    });
    assert_eq!(read, ["von 1 – {\"ü\": 1}", "von 0 – {\"ü\": 1}"]);
}

#[test]
fn what_does_not_come_is_an_error_in_time_and_on_one_line() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let moment = Duration::from_millis(300);
    let store = Store::open(("127.0.0.1", port), Some(socket), "test", moment).unwrap();
    for error in [
        store.get("nothing", moment).unwrap_err(),
        Links::open(&store, (0, 2), Interface { address: "127.0.0.1", ..Interface::default() }, moment)
            .err()
            .unwrap(),
    ] {
        assert!(!error.is_empty() && !error.contains('\n'), "{error}");
    }
    // Nobody listens where somebody did.
    drop(store);
    assert!(Store::open(("127.0.0.1", port), None, "test", moment).is_err());
}

#[test]
fn the_other_side_of_an_exchange_is_waited_for_as_long_as_was_set_and_not_as_for_the_connections() {
    let silent = in_group(2, |rank, store, links| {
        if rank == 0 {
            links.set_timeout(Duration::from_millis(300));
            let error = links.exchange(1, &Tensor::zeros([4], (Kind::Float, Device::Cpu))).unwrap_err();
            store.set("waited", "").unwrap();
            return error;
        }
        // It is there, and says nothing; the connections' minute is not over when this comes.
        store.get("waited", TIMEOUT / 2).map_or_else(|late| late, |_| String::new())
    });
    assert!(!silent[0].is_empty() && silent[1].is_empty(), "{silent:?}");
}

#[test]
fn a_peer_that_is_gone_is_an_error_and_no_wait() {
    let lost = in_group(2, |rank, _, links| {
        let tensor = Tensor::zeros([1000], (Kind::Float, Device::Cpu));
        if rank == 0 { links.exchange(1, &tensor).err() } else { None }
    });
    // The other one leaves, and its end closes the connection long before the minute is over.
    assert!(lost[0].is_some() && lost[1].is_none());
}

/// gloo does not tell it: a peer that dies often dies in the middle of a message, since that is what takes time.
#[test]
fn a_peer_that_is_gone_in_the_middle_of_a_message_is_an_error_long_before_the_time_is_over() {
    let start = Instant::now();
    let lost = in_group(2, |rank, store, links| {
        let tensor = Tensor::zeros([64 << 20], (Kind::Float, Device::Cpu));
        store.add("ready", 1).unwrap();
        while store.add("ready", 0).unwrap() < 2 {
            std::thread::yield_now();
        }
        if rank == 1 {
            // Its connections are closed while a quarter of a gigabyte is under way.
            links.set_timeout(Duration::from_millis(5));
        }
        links.exchange(1 - rank, &tensor).err()
    });
    assert!(lost.iter().all(Option::is_some), "{lost:?}");
    assert!(start.elapsed() < TIMEOUT / 2, "{:?}", start.elapsed());
}
