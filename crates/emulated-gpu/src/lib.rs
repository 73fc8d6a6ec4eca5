//! An emulated GPU for tests: it stands in for NVIDIA's driver, cuBLAS and cuRAND, executes PTX on the CPU and finds
//! faults in it.

pub mod fault;
pub mod memory;
pub mod ptx;
pub mod vm;
