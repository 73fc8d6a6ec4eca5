use std::sync::LazyLock;

use pulp::{Arch, WithSimd};

static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Runs what [`vectorised!`](crate::vectorised) has made of a function.
#[inline(always)]
#[doc(hidden)]
pub fn dispatch<F: pulp::NullaryFnOnce>(f: F) -> F::Output {
    ARCH.dispatch(f)
}

/// Runs what is written for vectors of any kind on those that the processor has.
#[inline(always)]
pub fn simd<F: WithSimd>(f: F) -> F::Output {
    ARCH.dispatch(f)
}

#[doc(hidden)]
pub use pulp::NullaryFnOnce;

/// A function whose loops are compiled for the widest vectors that the processor has, which is
/// found out at run time: AVX2 or AVX-512 where a program for any x86-64 would do with SSE2.
///
/// Lifetimes stand before a semicolon, each generic's bounds in brackets. All that is called in the
/// loops has to be `#[inline(always)]`. Multiplications and additions are not fused, so that the
/// result is the same on all processors.
///
/// ```
/// compute::vectorised! {
///     /// x += y
///     fn add<'a; T: [Copy + std::ops::AddAssign]>(x: &'a mut [T], y: &'a [T]) {
///         x.iter_mut().zip(y).for_each(|(x, y)| *x += *y);
///     }
/// }
/// let mut x = [1.0, 2.0];
/// add(&mut x, &[10.0, 20.0]);
/// assert_eq!(x, [11.0, 22.0]);
/// ```
#[macro_export]
macro_rules! vectorised {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident<$($lifetime:lifetime),+ $(; $($generic:ident: [$($bound:tt)+]),+)?>(
            $($argument:ident: $type:ty),+ $(,)?
        ) $(-> $result:ty)? $body:block
    ) => {
        $(#[$attribute])*
        $visibility fn $name<$($lifetime,)+ $($($generic: $($bound)+),+)?>($($argument: $type),+) $(-> $result)? {
            // A method alone can be made to stand in the code of each kind of processor: a closure
            // or a function by its name would be compiled once, for all of them.
            struct Call<$($lifetime,)+ $($($generic: $($bound)+),+)?> {
                $($argument: $type,)+
                lifetimes: std::marker::PhantomData<($(&$lifetime (),)+)>,
            }

            impl<$($lifetime,)+ $($($generic: $($bound)+),+)?> $crate::NullaryFnOnce
                for Call<$($lifetime,)+ $($($generic),+)?>
            {
                type Output = $crate::vectorised!(@result $($result)?);

                #[inline(always)]
                fn call(self) -> Self::Output {
                    let Call { $($argument,)+ .. } = self;
                    $body
                }
            }

            $crate::dispatch(Call { $($argument,)+ lifetimes: std::marker::PhantomData })
        }
    };
    (@result) => { () };
    (@result $result:ty) => { $result };
}
