//! How programs end that read through the Python example: at once, with their own exit code, whatever they still hold.

use crate::python::{program, python};
use mixfeed_fake::{At, FakeLoader, Fault, FaultKind, Script};
use mixfeed_testing::signal;
use std::path::Path;

/// Ends within a stream, in the way that it is told; the last thing that the interpreter does is to say how many of gRPC's
/// calls are left.
const ENDS: &str = "
import atexit, gc, itertools, os, signal, sys, threading
late = lambda: None
atexit.register(lambda: print(sum('Rendezvous' in type(each).__name__ for each in gc.get_objects())))
atexit.register(lambda: late())
import mixfeed_stream as m
signal.alarm(60)  # It ends then, however it hangs.
spec = m.stream_spec(batch_size=20, mixup_alpha=0.2, mixup_probability=float(sys.argv[2]))
batches = m.MixfeedStream(sys.argv[1], spec)
stream = iter(batches)
next(stream), next(stream)
exec(sys.argv[3])
";

const CYCLE: &str = "
class Holder: pass
holder = Holder()
holder.itself, holder.stream = holder, stream
del holder, stream
";

const RAISES: &str = "
def reads():
    held = iter(batches)
    next(held)
    raise KeyError
reads()
";

const THREAD: &str = "threading.Thread(target=list, args=(stream,), daemon=True).start()";

const INTERRUPTED: &str = "
signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background jobs ignore it.
threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
try: list(stream)
except KeyboardInterrupt as error: kept = error
sys.exit(7)
";

const FORKED: &str = "
child = os.fork()
if child == 0:
    next(stream)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), next(stream)['index'])
";

/// A call that is left when the interpreter exits may keep it from exiting.
#[test]
fn however_a_program_ends_it_leaves_no_call_behind() {
    let Some(python) = python() else { return };
    let fault = |at, kind| Some(Fault::always(at, kind));
    let refuses = || fault(At::From(0), FaultKind::RefuseOpen("probability: 2".into()));
    let stalls = || fault(At::Index(3), FaultKind::Stall);
    let exits = "RuntimeError: the interpreter exits";
    for (fault, probability, then, code, said) in [
        (None, "0", "pass", 0, ""),
        (None, "0", "list(stream)", 0, ""),
        (None, "0", "sys.exit(7)", 7, ""),
        (None, "0", RAISES, 1, "KeyError"),
        (None, "0", "pairs = zip(range(2), batches); list(pairs)", 0, ""),
        (None, "0", "some = itertools.islice(batches, 100); next(some)", 0, ""),
        (None, "0", CYCLE, 0, ""),
        (None, "0", "atexit.register(lambda: (next(stream), next(iter(batches))))", 0, ""),
        (None, "0", "late = lambda: next(stream)", 0, exits),
        (None, "0", "late = lambda: next(iter(batches))", 0, exits),
        (None, "0", FORKED, 0, "RuntimeError: a stream cannot be read on in a forked process"),
        (stalls(), "0", "pass", 0, ""),
        (stalls(), "0", INTERRUPTED, 7, ""),
        (stalls(), "0", THREAD, 0, "ConnectionError: CANCELLED"),
        (fault(At::Index(3), FaultKind::FlipBit), "0", "list(stream)", 1, "ValueError: batch 3 "),
        (fault(At::Index(3), FaultKind::Break), "0", "list(stream)", 1, "ConnectionError: INTERNAL"),
        (refuses(), "2", "pass", 1, "RuntimeError: INVALID_ARGUMENT"),
    ] {
        let faults = fault.into_iter().collect();
        let loader = FakeLoader::start(Script { faults, ..Script::default() }).unwrap();
        let address = loader.address().to_string();
        let output = program(&python, Path::new(""), ENDS, &[&address, probability, then]);
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{then}: {stderr}");
        // Whether a thread that goes with the interpreter still says something is chance.
        let certain = then != THREAD;
        assert!(
            !certain || stderr.contains(said) && stderr.is_empty() == said.is_empty(),
            "{then}: {stderr}"
        );
        assert!(!certain || stdout.ends_with("0\n"), "{then}: {stdout}");
        assert!(then != FORKED || stdout.contains("1 2\n"), "{stdout}");
    }
}

/// Freezes its loader while batches are due.
const FREEZES: &str = "
import sys, mixfeed_stream as m
m.KEEPALIVE_MS = 500
stream = iter(m.MixfeedStream(sys.argv[1], m.stream_spec(batch_size=20)))
next(stream)
import os, signal
os.kill(int(sys.argv[2]), signal.SIGSTOP)
list(stream)
";

#[test]
fn a_loader_that_is_frozen_is_lost_within_the_time_of_keepalive_pings() {
    let Some(python) = python() else { return };
    let loader = crate::commands::serving(&["--data", "synthetic:2000", "--listen", "127.0.0.1:0"]);
    let arguments = [&*loader.address, &loader.child.id().to_string()];
    let output = program(&python, Path::new(""), FREEZES, &arguments);
    signal(&loader.child, "-CONT");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("ConnectionError: UNAVAILABLE"), "{stderr}");
}
