//! The library as a program meets it: loaded by the loader under the names of CUDA's three, called through C, set by the
//! environment. Each case is a process of its own: this program runs itself again.
#![allow(unsafe_code, clippy::unwrap_used)] // It calls C functions by name, which is what it is about.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    path::{Path, PathBuf},
    process::{Command, Output},
};

const NAMES: [&str; 3] = ["libcuda.so.1", "libcublas.so.13", "libcurand.so.10"];
const PTX: &CStr = c".version 9.0
.target sm_80
.address_size 64
.visible .entry store(.param .u64 to, .param .u32 what)
{
    .reg .b32 %r<2>;
    .reg .b64 %rd<3>;
    ld.param.u64 %rd1, [to];
    ld.param.u32 %r1, [what];
    cvta.to.global.u64 %rd2, %rd1;
    st.global.u32 [%rd2], %r1;
    ret;
}
";

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// A library that was loaded.
#[derive(Clone, Copy)]
struct Library(*mut c_void);

impl Library {
    fn open(path: &Path) -> Library {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the path is a C string; 2 is RTLD_NOW, without RTLD_GLOBAL.
        let library = unsafe { dlopen(path.as_ptr(), 2) };
        assert!(!library.is_null(), "{path:?}");
        Library(library)
    }

    fn address(self, function: &CStr) -> *mut c_void {
        // SAFETY: the library stays loaded.
        let address = unsafe { dlsym(self.0, function.as_ptr()) };
        assert!(!address.is_null(), "{function:?}");
        address
    }
}

/// Calls a C function by name, with the types of its parameters.
macro_rules! call {
    ($library:expr, $name:ident($($argument:expr => $kind:ty),*)) => {{
        let name = CString::new(stringify!($name)).unwrap();
        // SAFETY: these are the function's parameters in `cuda.h`.
        unsafe {
            let function: unsafe extern "C" fn($($kind),*) -> c_int = std::mem::transmute($library.address(&name));
            function($($argument),*)
        }
    }};
}

/// A folder with the three names as links to the one library.
fn folder() -> tempfile::TempDir {
    let built = std::env::current_exe().unwrap().parent().unwrap().join("libemulated_gpu.so");
    assert!(built.exists(), "cargo builds the library beside the tests: {}", built.display());
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(built, folder.path().join("libemulated_gpu.so")).unwrap();
    for name in NAMES {
        std::os::unix::fs::symlink("libemulated_gpu.so", folder.path().join(name)).unwrap();
    }
    folder
}

/// Runs one of the `child_…` tests in a process with these settings.
fn child(test: &str, settings: &[(&str, &str)]) -> (Output, serde_json::Value) {
    let folder = folder();
    let report = folder.path().join("report.json");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env("LIBRARY_FOLDER", folder.path())
        .env("EMULATED_GPU_REPORT", &report)
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let read = std::fs::read(report).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    (output, read.unwrap_or_default())
}

#[track_caller]
fn assert_passed(output: &Output) {
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
}

fn libraries() -> [Library; 3] {
    let folder = PathBuf::from(std::env::var_os("LIBRARY_FOLDER").unwrap());
    NAMES.map(|name| Library::open(&folder.join(name)))
}

/// A context on the first device.
fn begin(cuda: Library) -> u64 {
    assert_eq!(call!(cuda, cuInit(0 => u32)), 0);
    let mut context = 0u64;
    assert_eq!(call!(cuda, cuDevicePrimaryCtxRetain(&mut context => *mut u64, 0 => c_int)), 0);
    assert_eq!(call!(cuda, cuCtxSetCurrent(context => u64)), 0);
    context
}

#[test]
fn three_names_are_one_machine() {
    let (output, report) = child("child_uses_all_three", &[]);
    assert_passed(&output);
    assert_eq!(report["calls"]["cublasSgemm_v2"], 1);
    assert_eq!(report["kernels"]["store"]["launches"], 1);
    assert_eq!(report["kernels"]["store"]["bytes_written"], 4);
    assert_eq!(report["launches"], 3);
    assert_eq!(report["fault_count"], 0);
}

#[test]
#[ignore = "a part of three_names_are_one_machine"]
fn child_uses_all_three() {
    let [cuda, blas, rand] = libraries();
    let name = c"cuMemAlloc_v2";
    assert_eq!(
        cuda.address(name),
        blas.address(name),
        "the loader has one library for the links to one file"
    );
    begin(cuda);
    let (mut module, mut function, mut memory) = (0u64, 0u64, 0u64);
    assert_eq!(call!(cuda, cuModuleLoadData(&mut module => *mut u64, PTX.as_ptr() => *const c_char)), 0);
    let name = c"store".as_ptr();
    assert_eq!(
        call!(cuda, cuModuleGetFunction(&mut function => *mut u64, module => u64, name => *const c_char)),
        0
    );
    assert_eq!(call!(cuda, cuMemAlloc_v2(&mut memory => *mut u64, 64 => usize)), 0);
    let mut what = 3f32.to_bits();
    let mut parameters = [(&raw mut memory).cast::<c_void>(), (&raw mut what).cast()];
    let parameters = parameters.as_mut_ptr();
    let launched = call!(cuda, cuLaunchKernel(
        function => u64, 1 => u32, 1 => u32, 1 => u32, 1 => u32, 1 => u32, 1 => u32, 0 => u32, 0 => u64,
        parameters => *mut *mut c_void, std::ptr::null_mut() => *mut *mut c_void));
    assert_eq!(launched, 0);
    // 3 × 3 + 0 into the second number, then four random ones behind.
    let (mut handle, mut generator) = (0u64, 0u64);
    assert_eq!(call!(blas, cublasCreate_v2(&mut handle => *mut u64)), 0);
    let (one, zero) = (1f32, 0f32);
    let multiplied = call!(blas, cublasSgemm_v2(
        handle => u64, 0 => c_int, 0 => c_int, 1 => c_int, 1 => c_int, 1 => c_int, &one => *const f32,
        memory => u64, 1 => c_int, memory => u64, 1 => c_int, &zero => *const f32, memory + 4 => u64, 1 => c_int));
    assert_eq!(multiplied, 0);
    assert_eq!(call!(rand, curandCreateGenerator(&mut generator => *mut u64, 100 => c_int)), 0);
    assert_eq!(call!(rand, curandGenerateUniform(generator => u64, memory + 8 => u64, 4 => usize)), 0);
    let mut numbers = [0f32; 6];
    let to = numbers.as_mut_ptr();
    assert_eq!(call!(cuda, cuMemcpyDtoH_v2(to => *mut f32, memory => u64, 24 => usize)), 0);
    assert_eq!(numbers[..2], [3.0, 9.0]);
    assert!(numbers[2..].iter().all(|&x| x > 0.0 && x <= 1.0));
}

#[test]
fn a_call_that_cannot_be_made_returns_cudas_code_and_nothing_crashes() {
    let (output, report) = child("child_calls_wrongly", &[]);
    assert_passed(&output);
    assert!(report["fault_count"].as_u64().unwrap() >= 10, "{report}");
    assert_eq!(report["faults"][0]["kernel"], "cuMemAlloc_v2");
}

#[test]
#[ignore = "a part of a_call_that_cannot_be_made_returns_cudas_code_and_nothing_crashes"]
fn child_calls_wrongly() {
    let [cuda, blas, rand] = libraries();
    let (null, garbage) = (std::ptr::null_mut::<u64>(), 0x1234_5678_9abc_def0u64);
    let mut value = 0u64;
    assert_eq!(call!(cuda, cuMemAlloc_v2(&mut value => *mut u64, 64 => usize)), 3, "before cuInit");
    assert_eq!(call!(cuda, cuInit(1 => u32)), 1);
    assert_eq!(call!(cuda, cuInit(0 => u32)), 0);
    assert_eq!(call!(cuda, cuMemAlloc_v2(&mut value => *mut u64, 64 => usize)), 201, "without a context");
    begin(cuda);
    assert_eq!(call!(cuda, cuMemAlloc_v2(null => *mut u64, 64 => usize)), 1);
    assert_eq!(call!(cuda, cuMemAlloc_v2(&mut value => *mut u64, 0 => usize)), 1);
    assert_eq!(call!(cuda, cuMemAlloc_v2(&mut value => *mut u64, usize::MAX => usize)), 2);
    assert_eq!(call!(cuda, cuMemFree_v2(garbage => u64)), 1);
    assert_eq!(call!(cuda, cuMemFree_v2(0 => u64)), 0);
    assert_eq!(call!(cuda, cuMemAlloc_v2(&mut value => *mut u64, 64 => usize)), 0);
    assert_eq!(call!(cuda, cuMemcpyHtoD_v2(value => u64, null => *mut u64, 8 => usize)), 1);
    let source = [0u8; 128].as_ptr();
    assert_eq!(call!(cuda, cuMemcpyHtoD_v2(value => u64, source => *const u8, 65 => usize)), 1);
    assert_eq!(call!(cuda, cuMemFree_v2(value => u64)), 0);
    assert_eq!(call!(cuda, cuMemFree_v2(value => u64)), 1, "twice");
    assert_eq!(call!(cuda, cuStreamSynchronize(garbage => u64)), 400);
    assert_eq!(call!(cuda, cuEventQuery(garbage => u64)), 400);
    assert_eq!(call!(cuda, cuModuleUnload(garbage => u64)), 400);
    assert_eq!(call!(cuda, cuFuncSetAttribute(garbage => u64, 8 => c_int, 0 => c_int)), 400);
    assert_eq!(call!(cuda, cuCtxSetCurrent(garbage => u64)), 201);
    assert_eq!(call!(cuda, cuDeviceGet(&mut 0 => *mut c_int, 1 => c_int)), 101);
    assert_eq!(call!(cuda, cuModuleLoadData(&mut value => *mut u64, null => *mut u64)), 1);
    let elf = c"\x7fELF".as_ptr();
    assert_eq!(call!(cuda, cuModuleLoadData(&mut value => *mut u64, elf => *const c_char)), 200);
    let text = c".version 9.0\n.target sm_80\nnonsense".as_ptr();
    assert_eq!(call!(cuda, cuModuleLoadData(&mut value => *mut u64, text => *const c_char)), 218);
    assert_eq!(call!(cuda, cuModuleLoadData(&mut value => *mut u64, PTX.as_ptr() => *const c_char)), 0);
    let name = c"absent".as_ptr();
    assert_eq!(
        call!(cuda, cuModuleGetFunction(&mut 0 => *mut u64, value => u64, name => *const c_char)),
        500
    );
    let file = c"/absent.ptx".as_ptr();
    assert_eq!(call!(cuda, cuModuleLoad(&mut 0 => *mut u64, file => *const c_char)), 301);
    assert_eq!(call!(cuda, cuLaunchHostFunc()), 801);
    assert_eq!(call!(cuda, cuGetErrorName(700 => c_int, null => *mut u64)), 1);
    assert_eq!(call!(blas, cublasDestroy_v2(garbage => u64)), 1);
    assert_eq!(call!(blas, cublasSetMathMode(garbage => u64, 0 => c_int)), 1);
    assert_eq!(call!(rand, curandGenerateUniform(garbage => u64, 0 => u64, 4 => usize)), 101);
    assert_eq!(call!(rand, curandCreateGenerator(&mut value => *mut u64, 200 => c_int)), 103);
    let mut name = std::ptr::null::<c_char>();
    assert_eq!(call!(cuda, cuGetErrorName(700 => c_int, &mut name => *mut *const c_char)), 0);
    // SAFETY: it was set to a text of the library's.
    assert_eq!(unsafe { CStr::from_ptr(name) }, c"CUDA_ERROR_ILLEGAL_ADDRESS");
}

#[test]
fn the_environment_makes_the_machine() {
    let settings = [
        ("EMULATED_GPU_MEMORY", "64MiB"),
        ("EMULATED_GPU_DEVICES", "NVIDIA A,NVIDIA B"),
        ("EMULATED_GPU_CAPABILITY", "8.6"),
        ("EMULATED_GPU_DRIVER", "535"),
    ];
    assert_passed(&child("child_looks_at_the_machine", &settings).0);
}

#[test]
#[ignore = "a part of the_environment_makes_the_machine"]
fn child_looks_at_the_machine() {
    let [cuda, ..] = libraries();
    let mut number = 0;
    assert_eq!(call!(cuda, cuDriverGetVersion(&mut number => *mut c_int)), 0);
    assert_eq!(number, 12020);
    begin(cuda);
    assert_eq!(call!(cuda, cuDeviceGetCount(&mut number => *mut c_int)), 0);
    assert_eq!(number, 2);
    for (attribute, wanted) in [(75, 8), (76, 6), (97, 99 << 10)] {
        assert_eq!(
            call!(cuda, cuDeviceGetAttribute(&mut number => *mut c_int, attribute => c_int, 1 => c_int)),
            0
        );
        assert_eq!(number, wanted);
    }
    let mut name = [1 as c_char; 20];
    assert_eq!(call!(cuda, cuDeviceGetName(name.as_mut_ptr() => *mut c_char, 20 => c_int, 1 => c_int)), 0);
    // SAFETY: the call ends it with a zero byte.
    assert_eq!(unsafe { CStr::from_ptr(name.as_ptr()) }, c"NVIDIA B");
    assert_eq!(call!(cuda, cuDeviceGetName(name.as_mut_ptr() => *mut c_char, 7 => c_int, 1 => c_int)), 0);
    // SAFETY: as above, cut off.
    assert_eq!(unsafe { CStr::from_ptr(name.as_ptr()) }, c"NVIDIA");
    let (mut free, mut total) = (0usize, 0usize);
    assert_eq!(call!(cuda, cuMemGetInfo_v2(&mut free => *mut usize, &mut total => *mut usize)), 0);
    assert_eq!((free, total), (64 << 20, 64 << 20));
    let mut memory = 0u64;
    assert_eq!(call!(cuda, cuMemAlloc_v2(&mut memory => *mut u64, 64 << 20 => usize)), 0);
    assert_eq!(call!(cuda, cuMemAlloc_v2(&mut memory => *mut u64, 1 => usize)), 2);
    assert_eq!(call!(cuda, cuModuleLoadData(&mut memory => *mut u64, PTX.as_ptr() => *const c_char)), 222);
}

#[test]
fn a_wrong_setting_is_told_and_cuinit_fails() {
    let (output, _) = child("child_begins", &[("EMULATED_GPU_ORDER", "sideways"), ("WANTED", "1")]);
    assert_passed(&output);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("EMULATED_GPU_ORDER is «sideways»"), "{said}");
}

#[test]
fn a_machine_with_no_device_answers_so() {
    assert_passed(&child("child_begins", &[("EMULATED_GPU_NO_DEVICE", "1"), ("WANTED", "100")]).0);
    assert_passed(&child("child_begins", &[("EMULATED_GPU_DEVICES", "0"), ("WANTED", "100")]).0);
}

#[test]
#[ignore = "a part of others"]
fn child_begins() {
    let [cuda, ..] = libraries();
    let wanted: c_int = std::env::var("WANTED").unwrap().parse().unwrap();
    assert_eq!(call!(cuda, cuInit(0 => u32)), wanted);
}
