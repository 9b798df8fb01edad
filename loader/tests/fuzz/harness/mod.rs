//! Damaged data against whatever reads data: an input may be refused, but it never panics, never takes more memory
//! than its target may, and never takes long.
//!
//! Inputs are whole files that were damaged at seeded places, with their checksums mended half of the time so
//! that the damage gets past the first gate. Inputs that once did harm lie in `regressions/TARGET/` and are
//! run first. The normal suite runs a few hundred inputs a target; `cargo xtask fuzz` runs for as long
//! as it is told, and prints the seed that runs the same again.
//!
//! A test program that has targets hands them to [`run_all`], as its only test: the loader's and the trainer's do.
//!
//! What is deliberately not here: feedback from coverage, which no stable compiler gives.

mod damage;

use cap::Cap;
use damage::Damage;
use std::alloc::System;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Something that reads data.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Memory that one input may take.
    pub(crate) limit_bytes: usize,
    /// Data that is in order.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Makes checksums right that damage has made wrong.
    pub(crate) mend: fn(&mut [u8]),
    /// Reads an input. A place for files is there for readers that want some.
    pub(crate) run: fn(&[u8], &Path),
}

pub(crate) fn target(
    name: &'static str,
    limit_bytes: usize,
    seeds: Vec<Vec<u8>>,
    mend: fn(&mut [u8]),
    run: fn(&[u8], &Path),
) -> Target {
    Target { name, limit_bytes, seeds, mend, run }
}

/// Where there are no checksums.
pub(crate) fn nothing(_: &mut [u8]) {}

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Inputs of each target in the normal suite.
const INPUTS: u64 = 300;

/// What no input may take. The largest image that is allowed takes a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long, and from which seed.
struct Plan {
    seed: u64,
    /// Of each target; none runs [`INPUTS`] inputs.
    time: Option<Duration>,
    /// Only targets whose name has this in it.
    only: String,
    /// Where the names of those that ran are to be added.
    ran: Option<PathBuf>,
}

impl Plan {
    fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok();
        let seconds: Option<u64> =
            variable("MIXFEED_FUZZ_SECONDS").map(|text| text.parse().expect("MIXFEED_FUZZ_SECONDS"));
        let by_clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = match (variable("MIXFEED_FUZZ_SEED"), seconds) {
            (Some(text), _) => text.parse().expect("MIXFEED_FUZZ_SEED"),
            (None, Some(_)) => by_clock(),
            (None, None) => 0,
        };
        let only = variable("MIXFEED_FUZZ_ONLY").unwrap_or_default();
        let ran = variable("MIXFEED_FUZZ_RAN").map(PathBuf::from);
        Self { seed, time: seconds.map(Duration::from_secs), only, ran }
    }
}

/// All targets in turn, not as a test each: the memory that is watched is the process's.
pub(crate) fn run_all(targets: &[Target]) {
    let plan = Plan::from_environment();
    let folder = tempfile::tempdir().unwrap();
    // A panic is told by its target, with the input that led to it.
    std::panic::set_hook(Box::new(|_| {}));
    // What is not seen cannot be told: a reader that is known to panic is caught.
    let broken = target("broken", usize::MAX >> 1, Vec::new(), nothing, |_, _| panic!("on purpose"));
    assert!(attempt(&broken, b"", folder.path()).unwrap_err().ends_with("on purpose"));
    // The build may be another user's: then the last input is kept among the temporary files.
    let nowhere = last_input_in(Path::new("/dev/null"), "broken");
    assert_eq!(nowhere.parent(), Some(&*std::env::temp_dir()));
    let mut faults = Vec::new();
    for target in targets.iter().filter(|target| target.name.contains(&plan.only)) {
        faults.extend(run(target, &plan, folder.path()).err());
    }
    drop(std::panic::take_hook());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Runs one target until its time is over, or to its first fault.
fn run(target: &Target, plan: &Plan, folder: &Path) -> Result<(), String> {
    for (path, input) in regressions(target) {
        attempt(target, &input, folder).map_err(|fault| format!("{}: {fault}", path.display()))?;
    }
    for seed in &target.seeds {
        attempt(target, seed, folder).map_err(|fault| format!("{}, undamaged: {fault}", target.name))?;
    }
    let started = Instant::now();
    let mut inputs = 0;
    // Written before each input, because a process that is out of memory has no last words.
    let last = last_input_in(Path::new(env!("CARGO_TARGET_TMPDIR")), target.name);
    while plan.time.map_or(inputs < INPUTS, |time| started.elapsed() < time) {
        let input = Damage::new(plan.seed, target.name, inputs).apply(&target.seeds, target.mend);
        std::fs::write(&last, &input).unwrap();
        attempt(target, &input, folder).map_err(|fault| {
            format!(
                "{}: {fault}; seed {}, input {inputs}, kept as {}",
                target.name,
                plan.seed,
                last.display()
            )
        })?;
        inputs += 1;
    }
    std::fs::remove_file(&last).unwrap();
    eprintln!("{}: {inputs} inputs, seed {}, no fault", target.name, plan.seed);
    if let Some(ran) = &plan.ran {
        writeln!(OpenOptions::new().append(true).open(ran).unwrap(), "{}", target.name).unwrap();
    }
    Ok(())
}

/// Where the last input of a target is kept: in a folder of the build, or among the temporary files where this user may
/// not write there.
fn last_input_in(folder: &Path, target: &str) -> PathBuf {
    let path = folder.join(format!("fuzz-last-{target}"));
    match std::fs::write(&path, b"") {
        Ok(()) => path,
        Err(_) => std::env::temp_dir().join(format!("fuzz-last-{target}-{}", std::process::id())),
    }
}

/// Inputs that did harm before it was mended.
fn regressions(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/regressions").join(target.name);
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    files.map(|file| file.unwrap().path()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Runs one input, and says what was wrong with that.
fn attempt(target: &Target, input: &[u8], folder: &Path) -> Result<(), String> {
    let before = MEMORY.allocated();
    // Beyond the limit nothing is allocated, which ends the process.
    MEMORY.set_limit(before + target.limit_bytes).unwrap();
    let started = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input, folder)));
    let took = started.elapsed();
    MEMORY.set_limit(usize::MAX).unwrap();
    match outcome {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("it panics: {}", text.unwrap_or("without words")))
        }
        Ok(()) if took > PATIENCE => Err(format!("it takes {took:?}")),
        Ok(()) => Ok(()),
    }
}
