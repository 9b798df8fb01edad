//! How libtorch's threads wait for each other.
//!
//! OpenMP's threads spin while they wait for the slowest one. On processors that loaders work on,
//! too, the spinning takes the very time that the slowest one needs: with a load of three processes
//! per core, training the article's network went from 76–201 to 238–324 images/s when they slept
//! instead. The weights are the same.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The standard's name for the setting. A value of the user's own wins.
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";

/// Has threads that wait sleep, not spin.
///
/// The library reads the setting as the program is loaded, before its first instruction, so the
/// program is replaced by itself with the setting in place: same process, same arguments. Where that
/// fails, things go on as they are.
pub fn sleep_while_waiting() {
    // Not a setting of ours, and there is no other way to know.
    #[allow(clippy::disallowed_methods)]
    let (is_set, mut arguments) = (std::env::var_os(WAIT_POLICY).is_some(), std::env::args_os());
    if is_set {
        return;
    }
    if let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) {
        // Comes back only when it failed.
        let _ = Command::new(program).arg0(name).args(arguments).env(WAIT_POLICY, "passive").exec();
    }
}
