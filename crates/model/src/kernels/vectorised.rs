use std::sync::LazyLock;

use pulp::Arch;

static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Runs a loop compiled for the widest vectors that this processor has, which is found out at run
/// time: AVX2 or AVX-512 where a program for any x86-64 would have to do with SSE2.
///
/// Multiplications and additions are not fused, so that the result is the same on all of them.
#[inline(always)]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    ARCH.dispatch(f)
}
