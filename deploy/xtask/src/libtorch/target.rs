//! What differs from platform to platform: which wheels, and which of their files.

use super::{Kind, VERSION};
use crate::place;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::PathBuf;

/// One platform that libtorch is prepared for.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Whether it was ever run.
    pub(crate) tested: bool,
    /// Platform tags that pip may choose from.
    pub(crate) platforms: &'static [&'static str],
    /// Libraries inside the wheel of torch.
    torch_libraries: &'static [&'static str],
    /// Libraries of CUDA that libtorch_cpu is linked to, used or not.
    cuda_libraries: &'static [&'static str],
    /// On Linux, the wheel's own libtorch.so pulls in libtorch_cuda; this one line replaces it.
    pub(crate) linker_script: Option<(&'static str, &'static str)>,
    download_bytes: u64,
    disk_bytes: u64,
    /// What is unpacked of all that a GPU needs; 0 where there is no such thing.
    cuda_bytes: u64,
}

const LINKER_SCRIPT: Option<(&str, &str)> = Some(("libtorch.so", "INPUT(-ltorch_cpu)\n"));
const CUDA_LIBRARIES: &[&str] = &["libcudart.so.13", "libcupti.so.13"];
const MB: u64 = 1_000_000;

const TARGETS: [Target; 3] = [
    Target {
        name: "linux-x86_64",
        tested: true,
        platforms: &[
            "manylinux_2_28_x86_64",
            "manylinux_2_27_x86_64",
            "manylinux_2_25_x86_64",
            "manylinux_2_18_x86_64",
            "manylinux_2_17_x86_64",
            "manylinux_2_12_x86_64",
            "manylinux_2_5_x86_64",
            "manylinux2014_x86_64",
        ],
        torch_libraries: &[
            "libtorch_cpu.so",
            "libc10.so",
            "libgomp.so.1",
            "libshm.so",
            "libtorch_global_deps.so",
        ],
        cuda_libraries: CUDA_LIBRARIES,
        linker_script: LINKER_SCRIPT,
        download_bytes: 544 * MB,
        disk_bytes: 510 * MB,
        cuda_bytes: 3_900 * MB,
    },
    Target {
        name: "linux-aarch64",
        tested: false,
        platforms: &[
            "manylinux_2_28_aarch64",
            "manylinux_2_27_aarch64",
            "manylinux_2_25_aarch64",
            "manylinux_2_18_aarch64",
            "manylinux_2_17_aarch64",
            "manylinux2014_aarch64",
        ],
        // libtorch_cpu computes with Arm's and NVIDIA's libraries here; the last four are theirs.
        torch_libraries: &[
            "libtorch_cpu.so",
            "libc10.so",
            "libgomp.so.1",
            "libshm.so",
            "libtorch_global_deps.so",
            "libarm_compute.so",
            "libarm_compute_graph.so",
            "libnvpl_blas_core.so.0",
            "libnvpl_blas_lp64_gomp.so.0",
            "libnvpl_lapack_core.so.0",
            "libnvpl_lapack_lp64_gomp.so.0",
        ],
        cuda_libraries: CUDA_LIBRARIES,
        linker_script: LINKER_SCRIPT,
        download_bytes: 433 * MB,
        disk_bytes: 340 * MB,
        cuda_bytes: 3_900 * MB,
    },
    Target {
        name: "macos-arm64",
        tested: false,
        platforms: &["macosx_11_0_arm64", "macosx_12_0_arm64", "macosx_13_0_arm64", "macosx_14_0_arm64"],
        torch_libraries: &[
            "libtorch.dylib",
            "libtorch_cpu.dylib",
            "libc10.dylib",
            "libomp.dylib",
            "libshm.dylib",
            "libtorch_global_deps.dylib",
        ],
        cuda_libraries: &[],
        linker_script: None,
        download_bytes: 81 * MB,
        disk_bytes: 290 * MB,
        cuda_bytes: 0,
    },
];

impl Target {
    /// The platform this runs on.
    pub(crate) fn here() -> Result<&'static Target> {
        let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
        let name = match (system, processor) {
            ("linux", "x86_64") if cfg!(target_env = "gnu") => "linux-x86_64",
            ("linux", "aarch64") if cfg!(target_env = "gnu") => "linux-aarch64",
            ("macos", "aarch64") => "macos-arm64",
            ("windows", _) => bail!("mixfeed runs on Linux and macOS; on Windows use WSL2 or containers"),
            _ => bail!(
                "there is no libtorch {VERSION} for {system} on {processor} here; build one and set LIBTORCH to it"
            ),
        };
        TARGETS.iter().find(|target| target.name == name).context("every name above is in the table")
    }

    /// The file of pinned wheels, in pip's own format.
    pub(crate) fn pins(&self, kind: Kind) -> PathBuf {
        let suffix = match kind {
            Kind::Cpu => "",
            Kind::Cuda => "-cuda",
        };
        place::at("deploy/xtask/libtorch").join(format!("{}{suffix}.txt", self.name))
    }

    /// Tells one made folder from one that would be made differently.
    pub(crate) fn stamp(&self, kind: Kind) -> Result<String> {
        let pins = self.pins(kind);
        if !pins.exists() {
            bail!("there is no libtorch with CUDA for {}", self.name);
        }
        let mut stamp =
            fs::read_to_string(&pins).with_context(|| format!("cannot read {}", pins.display()))?;
        if kind == Kind::Cuda {
            stamp.push_str(&fs::read_to_string(self.pins(Kind::Cpu))?);
        }
        for rule in self.rules(kind) {
            stamp.push_str(&rule);
            stamp.push('\n');
        }
        Ok(stamp)
    }

    /// What to take out of the wheels, and where it goes.
    pub(crate) fn rules(&self, kind: Kind) -> Vec<String> {
        let licences = format!("torch-{VERSION}.dist-info/licenses/=licenses/");
        match kind {
            // One flat folder: the libraries look for each other beside themselves.
            Kind::Cpu => {
                let torch = self.torch_libraries.iter().map(|name| format!("torch/lib/{name}=lib/{name}"));
                let cuda =
                    self.cuda_libraries.iter().map(|name| format!("nvidia/cu13/lib/{name}=lib/{name}"));
                let rest = ["torch/include/=include/".to_owned(), licences];
                torch.chain(cuda).chain(rest).collect()
            }
            // The layout of an installed torch: its libraries look for NVIDIA's in ../../nvidia.
            Kind::Cuda => vec![
                "torch/lib/=torch/lib/".to_owned(),
                "torch/include/=torch/include/".to_owned(),
                "nvidia/=nvidia/".to_owned(),
                licences,
            ],
        }
    }

    /// Room for the wheels (pip holds each twice for a moment) and what is unpacked.
    pub(crate) fn needs_bytes(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Cpu => 2 * self.download_bytes + self.disk_bytes,
            // The wheels are somewhat smaller than what is in them.
            Kind::Cuda => 3 * self.cuda_bytes,
        }
    }

    pub(crate) fn download_note(&self, kind: Kind) -> String {
        match kind {
            Kind::Cpu => format!("about {} MB", self.download_bytes / MB),
            Kind::Cuda => "about 2.5 GB".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_pinned_wheels_of_the_one_version() {
        for target in &TARGETS {
            let pins = fs::read_to_string(target.pins(Kind::Cpu)).unwrap();
            let lines: Vec<&str> = pins.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(lines[0].starts_with(&format!("torch=={VERSION} ")), "{}", target.name);
            assert_eq!(lines.len(), 1 + target.cuda_libraries.len(), "{}", target.name);
            for line in lines {
                let (_, hash) = line.split_once(" --hash=sha256:").unwrap();
                assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
            }
        }
    }

    #[test]
    fn a_changed_pin_or_rule_changes_the_stamp() {
        let stamps: Vec<String> = TARGETS.iter().map(|target| target.stamp(Kind::Cpu).unwrap()).collect();
        assert!(stamps[0].contains("sha256") && stamps[0].contains("libtorch_cpu.so"));
        assert_ne!(stamps[0], stamps[1]);
        assert_ne!(stamps[0], TARGETS[0].stamp(Kind::Cuda).unwrap());
    }
}
