//! Where training computes: the wish, what there is, and how many threads.

use crate::machine::cuda;
use crate::machine::shim;
use crate::usage::UsageError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tch::{Cuda, Device};

/// The release of libtorch that this program is made for.
pub const LIBTORCH: &str = "2.11.0";

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this number, or an error.
    Cuda(usize),
}

/// A text is no [`DeviceChoice`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a device: give auto, cpu, cuda or cuda:N")]
pub struct DeviceParseError(String);

impl FromStr for DeviceChoice {
    type Err = DeviceParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || DeviceParseError(text.to_owned());
        match text {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            "cuda" => Ok(DeviceChoice::Cuda(0)),
            _ => {
                let number = text.strip_prefix("cuda:").ok_or_else(error)?;
                number.parse().ok().map(DeviceChoice::Cuda).ok_or_else(error)
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = DeviceParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

/// The device that was asked for is not available.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("device {choice} is not available: {reason}")]
pub struct DeviceError {
    choice: DeviceChoice,
    reason: String,
}

/// Finds the device. Has to come before anything else touches libtorch.
///
/// # Errors
/// When a GPU was asked for by name and is not available; never silently the CPU instead.
pub fn select(choice: DeviceChoice) -> Result<Device, DeviceError> {
    let error = |reason| DeviceError { choice, reason };
    match choice {
        // Not even looked for: a broken driver is no reason not to train on the CPU.
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => match gpus() {
            Ok(_) => Ok(Device::Cuda(0)),
            Err(reason) => {
                tracing::info!("no GPU found ({}), computing on the CPU", reason.what);
                tracing::debug!(cause = reason.cause, "no GPU found");
                Ok(Device::Cpu)
            }
        },
        DeviceChoice::Cuda(number) => match gpus().map_err(|reason| error(reason.to_string()))? {
            count if number < count => Ok(Device::Cuda(number)),
            count => Err(error(format!("the GPUs here are numbered 0 to {}", count - 1))),
        },
    }
}

/// How libtorch computes on GPUs, for the whole process. A CPU always computes alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    /// Only by algorithms that give the same each time.
    pub deterministic: bool,
    /// Products of numbers of 32 bits may be those of numbers of 19 bits (TF32).
    pub tf32: bool,
}

/// What cuBLAS has to find in the environment to give the same each time.
const CUBLAS_WORKSPACE: &str = "CUBLAS_WORKSPACE_CONFIG";

impl Switches {
    /// Sets them, for trainings on `device`.
    ///
    /// # Errors
    /// When the same is wanted each time and the environment does not allow it.
    pub fn set(self, device: Device) -> Result<(), UsageError> {
        // cuBLAS's own setting, read by it and not by us; it has no other face.
        #[allow(clippy::disallowed_methods)]
        let is_set = std::env::var_os(CUBLAS_WORKSPACE).is_some();
        if self.deterministic && device.is_cuda() && !is_set {
            return Err(UsageError::new(&format!(
                "--deterministic on a GPU needs {CUBLAS_WORKSPACE}=:4096:8 in the environment"
            )));
        }
        shim::set_deterministic(self.deterministic);
        shim::set_tf32(self.tf32);
        Ok(())
    }
}

/// Why there is no GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoGpu {
    /// In a few words.
    what: &'static str,
    /// What the system said, if it said something.
    cause: Option<String>,
}

impl fmt::Display for NoGpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoGpu { what, cause: Some(cause) } => write!(f, "{what}: {cause}"),
            NoGpu { what, cause: None } => f.write_str(what),
        }
    }
}

/// How many GPUs there are, at least one, or why there is none.
pub(crate) fn gpus() -> Result<usize, NoGpu> {
    cuda::load().map_err(|cause| NoGpu { what: "libtorch without CUDA", cause: Some(cause) })?;
    let none = |what| Err(NoGpu { what, cause: None });
    if !Cuda::is_available() {
        return none("libtorch's CUDA part is loaded but sees no GPU; is there a driver");
    }
    match usize::try_from(Cuda::device_count()) {
        Ok(count) if count > 0 => Ok(count),
        _ => none("libtorch's CUDA part sees no GPU"),
    }
}

/// The name of a device as it is printed and recorded.
#[must_use]
pub fn name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(number) => format!("cuda:{number}"),
        other => format!("{other:?}"),
    }
}

/// As many threads as this process may use processors. libtorch itself would count the machine's,
/// and knows nothing of a container's limit.
#[must_use]
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The processor's type. Results depend on it, so runs record it.
#[must_use]
pub fn cpu_model() -> String {
    let unknown = || std::env::consts::ARCH.to_owned();
    let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") else { return unknown() };
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().map(str::trim) == Some(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    match (field("model name"), field("cpu family"), field("model")) {
        (Some(name), Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
        (Some(name), ..) => name,
        _ => unknown(),
    }
}

/// Variables by which the libraries of libtorch are told to compute otherwise.
const COMPUTES_OTHERWISE: [&str; 5] =
    ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "MKL_DEBUG_CPU_TYPE"];

/// Which of the processor's instructions libtorch computes with, as in `AVX512`: by what it found, and by what variables of the
/// environment tell it (`ATEN_CPU_CAPABILITY`, and those of its libraries, which are named). Results depend on it.
#[must_use]
#[allow(clippy::disallowed_methods)] // They are no settings of this program.
pub fn instructions() -> String {
    let told = COMPUTES_OTHERWISE.iter().filter_map(|name| Some((name, std::env::var(name).ok()?)));
    told.fold(shim::cpu_capability(), |text, (name, value)| format!("{text}, {name}={value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_printed() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            let error = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains("cuda:N"), "{error}");
        }
    }

    #[test]
    fn why_there_is_no_gpu_is_said_in_words_and_the_cause_behind_them() {
        let cause = "libtorch_cuda.so: cannot open shared object file".to_owned();
        let none = NoGpu { what: "libtorch without CUDA", cause: Some(cause.clone()) };
        assert_eq!(none.to_string(), format!("libtorch without CUDA: {cause}"));
        assert!(!none.what.contains(".so"), "which is all that a run on a CPU logs at info");
        assert_eq!(NoGpu { cause: None, ..none }.to_string(), "libtorch without CUDA");
    }

    #[test]
    fn the_same_each_time_needs_a_variable_on_a_gpu() {
        let switches = Switches { deterministic: true, tf32: false };
        let error = switches.set(Device::Cuda(0)).unwrap_err().to_string();
        assert!(error.contains("CUBLAS_WORKSPACE_CONFIG=:4096:8"), "{error}");
        // Not on the CPU either: the switches are the process's, in which other tests compute.
        assert_eq!(Switches { deterministic: false, tf32: true }.set(Device::Cpu), Ok(()));
    }
}
