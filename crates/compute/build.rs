//! Compiles the kernels of the CUDA backend to PTX for Ampere, which the driver compiles for every card since. NVIDIA's
//! compiler is enough; no GPU and no driver is needed.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

const KERNELS: &str = "src/cuda/kernels";

fn main() -> Result<(), String> {
    println!("cargo:rerun-if-changed={KERNELS}");
    println!("cargo:rerun-if-env-changed=NVCC");
    println!("cargo:rerun-if-env-changed=NVCC_CCBIN");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return Ok(());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let nvcc = env::var_os("NVCC").unwrap_or_else(|| "nvcc".into());
    let folder = std::fs::read_dir(KERNELS).map_err(|error| format!("{KERNELS}: {error}"))?;
    let mut sources: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    sources.sort();
    for source in sources.iter().filter(|path| path.extension().is_some_and(|ending| ending == "cu")) {
        let name = source.file_stem().unwrap_or_default();
        let ptx = out.join(name).with_extension("ptx");
        let mut command = Command::new(&nvcc);
        command.args(["-ptx", "-arch=compute_80", "-std=c++17", "-O3", "-Werror", "all-warnings"]);
        // A step of the optimizer is the CPU's to the last bit.
        if name == "adamw" {
            command.arg("--fmad=false");
        }
        if let Some(compiler) = env::var_os("NVCC_CCBIN") {
            command.arg("-ccbin").arg(compiler);
        }
        compile(command.arg("-o").arg(&ptx).arg(source), source)?;
    }
    Ok(())
}

fn compile(command: &mut Command, source: &Path) -> Result<(), String> {
    let output = command.output().map_err(|error| {
        format!("cannot start NVIDIA's compiler for {}: {error}; `make cuda` installs it", source.display())
    })?;
    if output.status.success() {
        return Ok(());
    }
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{} does not compile:\n{printed}{errors}", source.display()))
}
