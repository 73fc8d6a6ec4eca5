"""Finds CUDA's libraries as `mbti` does, and asks the driver for its version."""

import glob
import os
import pathlib
import subprocess
import sys

DRIVER = "libcuda.so.1"
CUDA = ["libcublas.so.13", "libcurand.so.10"]
# Where some systems keep the driver apart from all other libraries.
DRIVERS = [
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
    "/usr/lib64/nvidia",
    "/usr/lib/nvidia",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
]
LOADERS = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/lib64",
]
# The name of the emulated GPU, which its library has in it and no driver has.
EMULATED = b"Emulated GPU"


class Missing(Exception):
    """What is not there, as a sentence."""


def loader_folders():
    """Where the loader looks by itself."""
    named = []
    for settings in ["/etc/ld.so.conf", *sorted(glob.glob("/etc/ld.so.conf.d/*.conf"))]:
        try:
            lines = pathlib.Path(settings).read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        named += [line.split("#")[0].strip() for line in lines if line.startswith("/")]
    return [*LOADERS, *named]


def candidates(here):
    """Folders that may have cuBLAS and cuRAND, the likeliest first."""
    toolkits = [os.environ[name] for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    toolkits += [*sorted(glob.glob("/usr/local/cuda*"), reverse=True), "/opt/cuda"]
    libs = ["lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"]
    # PyTorch's own: of the Python that runs this, then of other environments.
    packages = [f"{folder}/nvidia/cu13/lib" for folder in sys.path if folder]
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if os.environ.get(name):
            packages += glob.glob(f"{os.environ[name]}/lib/python3*/site-packages/nvidia/cu13/lib")
            packages.append(f"{os.environ[name]}/lib")
    for prefix in (os.path.expanduser("~/.local"), "/usr/local", "/usr"):
        packages += glob.glob(f"{prefix}/lib*/python3*/*-packages/nvidia/cu13/lib")
    return [
        str(here / "cuda"),
        *(f"{toolkit}/{lib}" for toolkit in toolkits for lib in libs),
        *packages,
        *loader_folders(),
    ]


def has(folder, names):
    return all(os.path.isfile(os.path.join(folder, name)) for name in names)


def find(here, given):
    """The folder of the driver's library and that of CUDA's, looked for in `given` alone for CUDA's if there are any."""
    given = [os.path.abspath(folder) for folder in given if folder]
    driver = next((folder for folder in [*given, *DRIVERS, *loader_folders()] if has(folder, [DRIVER])), None)
    if driver is None:
        raise Missing(f"NVIDIA's driver is not installed here ({DRIVER} was found nowhere)")
    cuda = next((folder for folder in given or candidates(here) if has(folder, CUDA)), None)
    if cuda is None:
        where = f"in {', '.join(given)}" if given else "in no toolkit and no Python environment"
        raise Missing(f"CUDA 13's {' and '.join(CUDA)} were not found {where}")
    return driver, cuda


def environment(driver, cuda):
    """The variables with which a program that links CUDA starts."""
    usual = {os.path.realpath(folder) for folder in loader_folders()}
    # The loader's own folders have much else, which must not go before what is found elsewhere.
    folders = [folder for folder in dict.fromkeys([cuda, driver]) if os.path.realpath(folder) not in usual]
    known = os.environ.get("LD_LIBRARY_PATH")
    path = ":".join(folders + ([known] if known else []))
    return {"LD_LIBRARY_PATH": path, "MBTI_CUDA_LIBRARIES": ":".join(folders or [cuda])}


def is_emulated(driver):
    return EMULATED in pathlib.Path(driver, DRIVER).read_bytes()


def versions(driver, env):
    """What the driver calls itself: its release where the system tells it, and the CUDA that it speaks."""
    ask = f"import ctypes; d = ctypes.CDLL({os.path.join(driver, DRIVER)!r}); v = ctypes.c_int(); "
    ask += "print(v.value if d.cuDriverGetVersion(ctypes.byref(v)) == 0 else '')"
    try:
        said = subprocess.run([sys.executable, "-c", ask], env=env, capture_output=True, text=True, timeout=60).stdout
        version = int(said.strip().splitlines()[-1])
        cuda = f"{version // 1000}.{version % 1000 // 10}"
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        cuda = None
    try:
        release = pathlib.Path("/sys/module/nvidia/version").read_text().strip()
    except OSError:
        release = None
    return {"release": release, "cuda": cuda}
