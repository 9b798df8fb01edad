//! `cargo xtask advisories`: whether anything is known against a crate in the tree, by cargo-deny and the database of
//! RustSec.
//!
//! Not part of `cargo xtask ci`: what it says depends on the day, and the database is not everywhere to be had. Where
//! it is not, that is said, and the exit code is one of its own: nothing found is not the same as not looked.

use crate::deny::{self, Tool};
use crate::{place, process, say};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const DATABASE: &str = "https://github.com/RustSec/advisory-db";

/// The exit code where nothing was looked at.
const NOT_CHECKED: u8 = 3;

/// Far above what a server takes that answers at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// A crate that every tree of ours has, and what is said against it, to see that it is heard.
const PLANTED: (&str, &str) = (
    "crates/serde/RUSTSEC-2000-0001.md",
    "\
```toml
[advisory]
id = \"RUSTSEC-2000-0001\"
package = \"serde\"
date = \"2000-01-01\"

[versions]
patched = []
```

# Made up

To see that the check sees it.
",
);

/// Checks by the database in the folder `db`, or by the one that is fetched.
pub(crate) fn run(db: Option<&Path>) -> Result<ExitCode> {
    if let Some(db) = db
        && !db.join("crates").is_dir()
    {
        bail!("--db {}: no copy of {DATABASE}: it has no folder crates", db.display());
    }
    if db.is_none()
        && let Err(why) = reach()
    {
        say::result(&format!(
            "advisories: not checked: {DATABASE} cannot be fetched ({why}); give a copy of it by --db DIR"
        ));
        return Ok(ExitCode::from(NOT_CHECKED));
    }
    let tool = deny::current()?;
    let planted = place::at("target/advisories/planted");
    let advisory = planted.join(PLANTED.0);
    fs::create_dir_all(advisory.parent().context("an advisory lies in a folder")?)?;
    fs::write(&advisory, PLANTED.1)?;
    if check(&tool, Some(&planted))?.succeeded {
        bail!("an advisory against a crate of the tree was not heard: the check checks nothing");
    }
    let found = check(&tool, db)?;
    say::line(found.text.trim_end());
    if !found.succeeded {
        bail!("there are advisories against crates of the tree, or the check failed (see above)");
    }
    say::result(&format!("advisories: none by {}", db.map_or(DATABASE.into(), Path::to_string_lossy)));
    Ok(ExitCode::SUCCESS)
}

/// Whether the database's server answers.
fn reach() -> Result<()> {
    let mut child = Command::new("git")
        .args(["ls-remote", "--exit-code", DATABASE, "HEAD"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run git")?;
    let started = Instant::now();
    while child.try_wait()?.is_none() {
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            bail!("no answer within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{}", stderr.trim().lines().last().unwrap_or("git says nothing"));
    }
    Ok(())
}

/// Runs the check; cargo-deny knows databases by address only, so git is told to take a copy for it.
fn check(tool: &Tool, db: Option<&Path>) -> Result<deny::Found> {
    let rules = |folder: &Path| {
        format!(
            "[advisories]\ndb-path = {:?}\ndb-urls = [{DATABASE:?}]\ngit-fetch-with-cli = true\n",
            folder.join("databases").display().to_string()
        )
    };
    let Some(db) = db else {
        return tool.run("advisories", &rules(&place::at("target/advisories/fetched")), &["advisories"], &[]);
    };
    let work = place::at("target/advisories/copy");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    }
    let repository = repository(db, &work)?;
    let instead = format!("url.file://{}.insteadOf", repository.display());
    let environment =
        [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", &instead), ("GIT_CONFIG_VALUE_0", DATABASE)];
    tool.run("advisories", &rules(&work), &["advisories"], &environment)
}

/// The folder's files as a repository of one commit, whether the folder is one or not.
fn repository(db: &Path, work: &Path) -> Result<PathBuf> {
    let db = fs::canonicalize(db).with_context(|| format!("--db {}", db.display()))?;
    let repository = work.join("database.git");
    fs::create_dir_all(work)?;
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.arg("--git-dir").arg(&repository).arg("--work-tree").arg(&db).current_dir(&db);
        git.args(["-c", "user.name=xtask", "-c", "user.email=xtask@localhost", "-c", "core.bare=false"]);
        process::run(git.args(arguments).stdout(Stdio::null()))
    };
    process::run(
        Command::new("git").args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(&repository),
    )?;
    git(&["add", "--force", "crates"])?;
    git(&["commit", "--quiet", "--message=a copy"])?;
    Ok(repository)
}
