//! One piece of code, compiled twice: for any CPU of its family, and for those with wide registers.
//!
//! Loops over bytes are written plainly, and the compiler makes SIMD instructions of them as far as it
//! may suppose that the CPU has them. Which CPU it is turns out at run time. All of it is whole numbers, or single
//! operations of IEEE 754 that are never fused, so that both copies give the same bits.
//!
//! What is deliberately not here: intrinsics. Memory, not arithmetic, limits a batch (`benches/kernels.rs`). The
//! one loop that waits for itself, and that no compiler turns round, has them: `decode/unfilter.rs`.

/// Defines a function that runs `plain`, which must be `#[inline(always)]`, in the copy that suits the CPU.
macro_rules! dispatched {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) = $plain:path;) => {
        $(#[$meta])*
        $vis fn $name($($argument: $type),*) {
            // On aarch64 the registers that every CPU has are all that is used.
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                #[target_feature(enable = "avx2")]
                fn wide($($argument: $type),*) {
                    $plain($($argument),*);
                }
                // SAFETY: `wide` asks for a CPU that has AVX2, which was found just above.
                #[expect(unsafe_code, reason = "calls what only some CPUs can run")]
                return unsafe { wide($($argument),*) };
            }
            $plain($($argument),*);
        }
    };
}

pub(crate) use dispatched;
