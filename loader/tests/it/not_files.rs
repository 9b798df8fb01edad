//! What lies among the data under a file's name and is none: a pipe that nobody writes to, a device that never ends.

use crate::commands::{cifar, run};
use std::path::Path;
use std::process::Command;

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_pipe_or_a_device_among_images_is_a_bad_record_and_never_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let class = folder.path().join("train/a");
    std::fs::create_dir_all(&class).unwrap();
    for name in ["one.png", "two.png"] {
        image::RgbImage::new(8, 8).save(class.join(name)).unwrap();
    }
    pipe(&class.join("pipe.png"));
    std::os::unix::fs::symlink("/dev/zero", class.join("zero.png")).unwrap();
    let output = run(&["inspect", "--data", folder.path().to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    for name in ["pipe.png", "zero.png"] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn a_pipe_or_a_device_beside_the_data_is_named() {
    for device in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        cifar(folder.path());
        let names = folder.path().join("batches.meta.txt");
        drop(std::fs::remove_file(&names));
        if device {
            std::os::unix::fs::symlink("/dev/zero", &names).unwrap();
        } else {
            pipe(&names);
        }
        let output = run(&["inspect", "--data", folder.path().to_str().unwrap()]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{text}");
        let line = text.lines().last().unwrap();
        assert!(line.contains("batches.meta.txt") && line.contains("not a regular file"), "{text}");
    }
}
