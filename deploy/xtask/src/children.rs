//! The processes that a task starts. None outlives it, however it ends short of SIGKILL.

use anyhow::{Context as _, Result, ensure};
use mixfeed_testing::listening;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Time in which a process asked to stop has to do so.
const GRACE: Duration = Duration::from_secs(10);

/// How often it is looked at in that time.
const LOOK: Duration = Duration::from_millis(20);

/// Exit code of a program interrupted from the keyboard.
const INTERRUPTED: i32 = 130;

/// The processes of each task that runs in this program: a handler of signals can be set once.
static ALL: Mutex<Vec<Weak<Mutex<Vec<Child>>>>> = Mutex::new(Vec::new());

/// Running processes, ended when this is dropped or the program is interrupted.
pub(crate) struct Children(Arc<Mutex<Vec<Child>>>);

impl Children {
    /// No processes yet. Takes over SIGINT, SIGTERM and SIGHUP.
    pub(crate) fn new() -> Result<Self> {
        let children = Children(Arc::default());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = all.is_empty();
        all.push(Arc::downgrade(&children.0));
        if is_first {
            ctrlc::set_handler(|| {
                let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
                all.iter().filter_map(Weak::upgrade).for_each(|children| drop(end(&mut lock(&children))));
                std::process::exit(INTERRUPTED);
            })
            .context("cannot take over signals")?;
        }
        Ok(children)
    }

    /// Starts a loader that writes to `log`, and returns its address once it listens.
    pub(crate) fn start_loader(&self, command: &mut Command, log: &Path) -> Result<String> {
        let mut file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut child =
            command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot start a loader")?;
        let stderr = child.stderr.take().context("a piped stream is there once")?;
        lock(&self.0).push(child);
        let (address, said, mut rest) = listening(stderr).context("a loader is not ready")?;
        file.write_all(said.as_bytes())?;
        // Keeps the pipe empty, so that the loader never waits for its log; ends with it, whose end closes the pipe.
        #[allow(clippy::disallowed_methods)]
        std::thread::Builder::new().name("loader log".to_owned()).spawn(move || {
            let _ = std::io::copy(&mut rest, &mut file);
        })?;
        Ok(address)
    }

    /// Runs the trainer to its end, its logs shown; returns what it wrote to stdout.
    pub(crate) fn run_trainer(&self, command: &mut Command) -> Result<(ExitStatus, String)> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the trainer")?;
        let mut stdout = child.stdout.take().context("a piped stream is there once")?;
        lock(&self.0).push(child);
        // Not waited for under the lock: an interruption needs it to end the processes.
        let mut text = String::new();
        stdout.read_to_string(&mut text)?;
        let mut trainer = lock(&self.0).pop().context("the trainer was pushed last")?;
        Ok((trainer.wait()?, text))
    }

    /// Starts a process in the background and returns its id, by which it is known here until it has ended.
    pub(crate) fn start(&self, command: &mut Command) -> Result<u32> {
        let child = command.stdin(Stdio::null()).spawn().context("cannot start a process")?;
        let id = child.id();
        lock(&self.0).push(child);
        Ok(id)
    }

    /// Asks a process to stop.
    pub(crate) fn ask_to_stop(&self, id: u32) -> Result<()> {
        // It was not waited for, so that the id is its own.
        let asked = Command::new("kill").args(["-TERM", &id.to_string()]).status();
        ensure!(asked.context("cannot run kill")?.success(), "process {id} cannot be asked to stop");
        Ok(())
    }

    /// Ends a process by SIGKILL.
    pub(crate) fn kill(&self, id: u32) -> Result<()> {
        let mut children = lock(&self.0);
        let which = children.iter().position(|child| child.id() == id).context("no such process")?;
        let mut child = children.swap_remove(which);
        let killed = child.kill();
        child.wait()?;
        Ok(killed?)
    }

    /// Returns how a process has ended, once it has; it is not known here from then on.
    pub(crate) fn ended(&self, id: u32) -> Result<Option<ExitStatus>> {
        let mut children = lock(&self.0);
        let which = children.iter().position(|child| child.id() == id).context("no such process")?;
        if children[which].try_wait()?.is_none() {
            return Ok(None);
        }
        Ok(Some(children.swap_remove(which).wait()?))
    }

    /// Ends all processes; an error when one did not end well.
    pub(crate) fn end(&self) -> Result<()> {
        end(&mut lock(&self.0))
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn lock(children: &Mutex<Vec<Child>>) -> MutexGuard<'_, Vec<Child>> {
    children.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks every process to stop, then insists. Ids cannot have been given to others: none of these
/// was waited for yet.
fn end(children: &mut Vec<Child>) -> Result<()> {
    for child in &*children {
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    }
    let deadline = Instant::now() + GRACE;
    let mut result = Ok(());
    for mut child in children.drain(..) {
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
                _ => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break None;
                }
            }
        };
        if !status.is_some_and(|status| status.success()) && result.is_ok() {
            let how = status.map_or_else(|| "not at all".to_owned(), |status| status.to_string());
            result = Err(anyhow::anyhow!("a process that was asked to stop ended with: {how}"));
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_until_it_has_ended() {
        let children = Children(Arc::default());
        let long = || children.start(Command::new("sleep").arg("600")).unwrap();
        let (killed, stopped) = (long(), long());
        assert!(children.ended(killed).unwrap().is_none());
        children.kill(killed).unwrap();
        assert!(children.ended(killed).is_err() && children.kill(killed).is_err());
        children.ask_to_stop(stopped).unwrap();
        let status = loop {
            if let Some(status) = children.ended(stopped).unwrap() {
                break status;
            }
        };
        assert!(!status.success() && children.ended(stopped).is_err());
    }

    #[test]
    fn one_task_after_another_has_processes_of_its_own() {
        let first = Children::new().unwrap();
        first.start(Command::new("sleep").arg("600")).unwrap();
        drop(first);
        Children::new().unwrap().start(&mut Command::new("true")).unwrap();
    }

    #[test]
    fn no_process_outlives_its_owner() {
        let children = Children(Arc::default());
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let id = child.id().to_string();
        children.0.lock().unwrap().push(child);
        drop(children);
        assert!(!crate::libtorch::machine::is_running(&id));
    }
}
