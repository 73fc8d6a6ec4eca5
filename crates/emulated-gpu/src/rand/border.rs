//! The C functions of libcurand that candle calls; signatures are those of CUDA 13's `curand.h`.
#![allow(unsafe_code, non_snake_case, clippy::missing_safety_doc)] // As in `driver/border`.

use std::ffi::c_int;

use super::{Distribution, Series};
use crate::driver::{
    Error, Handle, Result,
    border::{Out, unsupported_functions, with, with_context},
};

/// `curandStatus_t`.
type Status = c_int;

fn status(result: Result<()>) -> Status {
    match result {
        Ok(()) => 0,
        Err(
            Error::UnknownHandle { what: "cuRAND generator", .. } | Error::NotInitialized | Error::NoContext,
        ) => 101,
        Err(Error::OutOfMemory { .. }) => 102,
        Err(Error::Unsupported(_)) => 103,
        Err(Error::Argument(_) | Error::Null { .. }) => 104,
        Err(Error::Broken(_)) => 202,
        Err(Error::Internal { .. }) => 999,
        Err(_) => 201,
    }
}

/// `CURAND_STATUS_LENGTH_NOT_MULTIPLE`.
const LENGTH_NOT_MULTIPLE: Status = 105;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn curandCreateGenerator(generator: *mut Handle, kind: c_int) -> Status {
    status(with_context("curandCreateGenerator", |driver, context| {
        let generator = Out::new(generator, "generator")?;
        if !matches!(kind, 100 | 101 | 121 | 141 | 142 | 161) {
            return Err(Error::Unsupported(format!("cuRAND's generator {kind}")));
        }
        generator.set(driver.create_generator(context)?);
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn curandDestroyGenerator(generator: Handle) -> Status {
    status(with("curandDestroyGenerator", |driver| {
        driver.generator(generator)?;
        driver.generators.remove(&generator);
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn curandGetVersion(version: *mut c_int) -> Status {
    status(with("curandGetVersion", |_| {
        Out::new(version, "version")?.set(10400);
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn curandSetStream(generator: Handle, stream: Handle) -> Status {
    status(with_context("curandSetStream", |driver, context| {
        driver.stream(context, stream)?;
        driver.generator(generator)?.stream = stream;
        Ok(())
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn curandSetPseudoRandomGeneratorSeed(generator: Handle, seed: u64) -> Status {
    status(with("curandSetPseudoRandomGeneratorSeed", |driver| driver.seed(generator, seed)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn curandSetGeneratorOffset(generator: Handle, offset: u64) -> Status {
    status(with("curandSetGeneratorOffset", |driver| driver.offset(generator, offset)))
}

fn draw(generator: Handle, series: Series) -> Status {
    // Box and Muller make two numbers at a time, and cuRAND makes no half of it.
    let odd = !series.count.is_multiple_of(2);
    if odd && matches!(series.distribution, Distribution::Normal { .. }) {
        let refused = with_context(series.function, |_, _| {
            Err::<(), _>(Error::Argument(format!(
                "{} normal numbers: their count has to be even",
                series.count
            )))
        });
        return if matches!(refused, Err(Error::Argument(_))) {
            LENGTH_NOT_MULTIPLE
        } else {
            status(refused)
        };
    }
    status(with_context(series.function, |driver, context| driver.draw(context, generator, series)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn curandGenerateUniform(generator: Handle, to: u64, count: usize) -> Status {
    draw(generator, Series::new("curandGenerateUniform", to, count as u64, false, Distribution::Uniform))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn curandGenerateUniformDouble(generator: Handle, to: u64, count: usize) -> Status {
    draw(generator, Series::new("curandGenerateUniformDouble", to, count as u64, true, Distribution::Uniform))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn curandGenerateNormal(
    generator: Handle,
    to: u64,
    count: usize,
    mean: f32,
    deviation: f32,
) -> Status {
    let normal = Distribution::Normal { mean: mean.into(), deviation: deviation.into() };
    draw(generator, Series::new("curandGenerateNormal", to, count as u64, false, normal))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn curandGenerateNormalDouble(
    generator: Handle,
    to: u64,
    count: usize,
    mean: f64,
    deviation: f64,
) -> Status {
    let normal = Distribution::Normal { mean, deviation };
    draw(generator, Series::new("curandGenerateNormalDouble", to, count as u64, true, normal))
}

unsupported_functions! { status:
    curandGenerate curandGenerateLongLong curandGenerateLogNormal curandGenerateLogNormalDouble curandGeneratePoisson
    curandSetGeneratorOrdering
}
