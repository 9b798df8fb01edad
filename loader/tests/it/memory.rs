//! What a loader takes for the memory that it may have.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// A gigapixel of one file under many names: decoded it is more than half of what either limit leaves.
#[test]
fn the_memory_line_names_the_limit_and_who_sets_it_and_the_cache_keeps_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("picture.png");
    image::RgbImage::new(1024, 1024).save(&picture).unwrap();
    for number in 0..300 {
        let class = folder.path().join(["data/train/cat", "data/train/dog"][number % 2]);
        fs::create_dir_all(&class).unwrap();
        fs::hard_link(&picture, class.join(format!("{number}.png"))).unwrap();
    }
    for (flag, mib) in [("-v", 1536), ("-d", 1200)] {
        let mut command = Command::new("sh");
        let limited = format!("ulimit {flag} {}; exec \"$@\"", mib << 10);
        command.args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_mixfeed-loader")]);
        command.args(["serve", "--listen", "127.0.0.1:0", "--workers", "1", "--no-digest-cache", "--data"]);
        command.arg(folder.path().join("data"));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut lines = Vec::new();
        for line in log {
            let is_last = line.contains("listening");
            lines.push(line);
            if is_last {
                break;
            }
        }
        drop(child.kill());
        drop(child.wait());
        let log = lines.join("\n");
        assert!(log.contains(&format!("limit_mib={mib} limit=\"ulimit {flag}\"")), "{log}");
        assert!(log.contains("cache=Encoded"), "{log}");
    }
}
