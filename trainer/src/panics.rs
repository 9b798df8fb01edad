//! Panics that are no mistake of this program, as errors and not with a trace of C++ or Rust.
//!
//! tch's calls panic with libtorch's words; those that name CUDA or one of its libraries say that memory is short or
//! that driver or GPU failed. A network from a file panics with its [`ModelError`] when it does otherwise than when it
//! was tried. Any other panic stays one.

use crate::error::TrainError;
use crate::learn::model::ModelError;
use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

/// What libtorch's words hold when a GPU is to blame.
const SIGNS: [&str; 4] = ["CUDA", "CUDNN", "cuDNN", "CUBLAS"];

/// Does `work`, and turns what failed in it through no mistake of this program into an error.
///
/// # Errors
/// Those of `work`, [`TrainError::Gpu`], and [`TrainError::Model`] of a network that fails while it is used.
pub fn caught(work: impl FnOnce() -> Result<(), TrainError>) -> Result<(), TrainError> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<ModelError>() && gpu_problem(info.payload()).is_none() {
            hook(info);
        }
    }));
    // Nothing that `work` had in hand is looked at afterwards.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        if let Some(problem) = gpu_problem(&*payload) {
            return Err(TrainError::Gpu(problem));
        }
        match payload.downcast::<ModelError>() {
            Ok(error) => Err(TrainError::Model(*error)),
            Err(payload) => panic::resume_unwind(payload),
        }
    })
}

/// The first line of what libtorch said about a GPU, if it did.
fn gpu_problem(payload: &(dyn Any + Send)) -> Option<String> {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    let text = text.or_else(|| match payload.downcast_ref() {
        Some(ModelError::Script { problem, .. }) => Some(problem.as_str()),
        _ => None,
    })?;
    if !SIGNS.iter().any(|sign| text.contains(sign)) {
        return None;
    }
    // tch shows its error as Rust shows a value: in quotes, with line breaks written out.
    let said = text.split_once("Torch(\"").map_or(text, |(_, said)| said);
    let line = said.split(['\n', '"']).next().unwrap_or(said);
    Some(line.split("\\n").next().unwrap_or(line).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_fails_is_one_line_with_the_exit_code_of_devices() {
        let said = "CUDA out of memory. Tried to allocate 2.00 GiB.";
        let panics = || -> Result<(), TrainError> {
            panic!(
                "called `Result::unwrap()` on an `Err` value: Torch(\"{said}\\nException raised from malloc\\n\")"
            )
        };
        let error = caught(panics).unwrap_err();
        assert_eq!(error.exit_code(), mixfeed_ops::exit::DEVICE);
        let text = error.to_string();
        assert!(text.contains(said) && !text.contains("Exception"), "{text}");
        assert!(text.contains("--batch-size"), "{text}");
    }

    #[test]
    fn a_network_from_a_file_that_fails_is_to_blame_unless_the_gpu_is() {
        let fails = |problem: &str| {
            let error = ModelError::Script { path: "a.pt".into(), problem: problem.to_owned() };
            caught(|| panic::panic_any(error)).unwrap_err()
        };
        let error = fails("it gives [2], not [2, 10]");
        assert_eq!(error.exit_code(), mixfeed_ops::exit::USAGE);
        assert_eq!(error.to_string(), "network a.pt cannot be used: it gives [2], not [2, 10]");
        let error = fails("CUDA out of memory. Tried to allocate 2.00 GiB.");
        assert_eq!(error.exit_code(), mixfeed_ops::exit::DEVICE);
        assert!(error.to_string().contains("--batch-size"), "{error}");
    }

    #[test]
    fn any_other_panic_stays_one() {
        let panics = || -> Result<(), TrainError> { panic!("a mistake of ours") };
        let payload = panic::catch_unwind(|| caught(panics)).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"a mistake of ours"));
        assert!(caught(|| Ok(())).is_ok());
    }
}
