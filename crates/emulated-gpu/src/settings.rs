//! What the emulated machine is like, by environment variables.
//!
//! | variable | values | meaning | default |
//! | --- | --- | --- | --- |
//! | `EMULATED_GPU_MEMORY` | bytes, or with `KiB`, `MiB`, `GiB` | memory of each device | `8GiB` |
//! | `EMULATED_GPU_DEVICES` | a number from 0 to 16, or names with commas between | the devices there are | `1` |
//! | `EMULATED_GPU_NAME` | text | name of every device that `_DEVICES` gives none | `Emulated GPU` |
//! | `EMULATED_GPU_CAPABILITY` | `MAJOR.MINOR` | compute capability of every device | `8.0` |
//! | `EMULATED_GPU_DRIVER` | `13000`, or a driver's release such as `535` | what `cuDriverGetVersion` says | `13000` |
//! | `EMULATED_GPU_ORDER` | `forward`, `reversed`, `random:SEED` | order of warps, blocks and streams | `forward` |
//! | `EMULATED_GPU_DEFERRED` | `0`, `1` | work waits in its stream until something synchronises with it | `0` |
//! | `EMULATED_GPU_RACES` | `0`, `1` | races between threads are looked for, which takes time | `0` |
//! | `EMULATED_GPU_THREADS` | 1 to 256 | threads of this machine that run a kernel's blocks | the processors, at most 16 |
//! | `EMULATED_GPU_INSTRUCTIONS` | a number above 0 | instructions of warps that one launch may execute | `68719476736` |
//! | `EMULATED_GPU_QUARANTINE` | as `_MEMORY` | how much freed memory is remembered, to report its use | `64MiB` |
//! | `EMULATED_GPU_LOSE` | `launch:N`, `random:SEED:N`, each with `:46`, `:719` or `:999` after it | the device is lost at its Nth launch (or at a random one of the first N): that call and all later ones return this code | never; `46` |
//! | `EMULATED_GPU_SILENT` | the number of a device | that device is listed and answers no question about itself: error 999 | none |
//! | `EMULATED_GPU_NO_DEVICE` | `0`, `1` | `cuInit` answers that there is no device | `0` |
//! | `EMULATED_GPU_REPORT` | path, in which `%p` is the number of the process | where counters and faults are written as JSON | nowhere |
//!
//! A launch in `_LOSE` is a kernel, a product of cuBLAS or a series of cuRAND. A variable that is set to nothing counts as
//! not set; a wrong value, and a variable of this family that is not in the table, is an error, and `cuInit` fails.

use std::path::PathBuf;

use crate::{driver::errors::Code, vm};

/// The emulated machine. [`Settings::default`] is the table's column of defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of each device's memory.
    pub memory: u64,
    /// The name of each device; there are as many devices as names.
    pub devices: Vec<String>,
    /// Compute capability, major and minor.
    pub capability: (i32, i32),
    /// As `cuDriverGetVersion` gives it: 1000 × major + 10 × minor of the newest CUDA that the driver runs.
    pub driver: i32,
    /// Order of warps, of blocks, and of streams where nothing else orders them.
    pub order: vm::Order,
    /// Whether work waits until it is asked for.
    pub deferred: bool,
    /// Whether kernels are searched for races.
    pub races: bool,
    /// Threads that run a kernel's blocks.
    pub threads: usize,
    /// Instructions of warps that one launch may execute: more are a loop without an end.
    pub instructions: u64,
    /// Bytes of freed memory that are remembered.
    pub quarantine: u64,
    /// When the device is lost.
    pub lose: Option<Loss>,
    /// The device that answers no question about itself.
    pub silent: Option<i32>,
    /// Whether the machine has no device at all.
    pub no_device: bool,
    /// Where the report goes.
    pub report: Option<PathBuf>,
}

/// A device that is lost in the midst of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The launch that fails first, counted from 1.
    pub launch: u64,
    /// What it, and every later call, returns.
    pub code: Code,
}

/// A setting that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{variable} is «{value}»: {wanted} is wanted")]
    Value { variable: String, value: String, wanted: &'static str },
    #[error("{0} is no setting of the emulated GPU")]
    Unknown(String),
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            memory: 8 << 30,
            devices: vec![NAME.into()],
            capability: (8, 0),
            driver: 13000,
            order: vm::Order::Forward,
            deferred: false,
            races: false,
            threads: std::thread::available_parallelism().map_or(1, |n| n.get().min(16)),
            instructions: 1 << 36,
            quarantine: 64 << 20,
            lose: None,
            silent: None,
            no_device: false,
            report: None,
        }
    }
}

const NAME: &str = "Emulated GPU";
const FAMILY: &str = "EMULATED_GPU_";

impl Settings {
    /// The settings of this process' environment.
    pub fn from_environment() -> Result<Settings, Error> {
        let text = |s: std::ffi::OsString| s.to_string_lossy().into_owned();
        Settings::from_variables(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// The settings that these variables, among any others, make.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Result<Settings, Error> {
        let mut settings = Settings::default();
        let mut name = None;
        let mut names = Names::Number(1);
        for (variable, value) in variables {
            let Some(setting) = variable.strip_prefix(FAMILY) else { continue };
            if value.is_empty() {
                continue;
            }
            let wanted = |wanted| Error::Value { variable: variable.clone(), value: value.clone(), wanted };
            match setting {
                "MEMORY" => settings.memory = bytes(&value).ok_or_else(|| wanted(BYTES))?,
                "QUARANTINE" => settings.quarantine = bytes(&value).ok_or_else(|| wanted(BYTES))?,
                "DEVICES" => {
                    names = devices(&value).ok_or_else(|| wanted("a number from 0 to 16, or names"))?;
                }
                "NAME" => name = Some(value),
                "CAPABILITY" => {
                    settings.capability =
                        capability(&value).ok_or_else(|| wanted("a compute capability such as 8.0"))?;
                }
                "DRIVER" => {
                    settings.driver = driver(&value)
                        .ok_or_else(|| wanted("a version such as 13000 or a release such as 535"))?;
                }
                "ORDER" => {
                    settings.order =
                        order(&value).ok_or_else(|| wanted("forward, reversed or random:SEED"))?;
                }
                "DEFERRED" => settings.deferred = flag(&value).ok_or_else(|| wanted(FLAG))?,
                "RACES" => settings.races = flag(&value).ok_or_else(|| wanted(FLAG))?,
                "NO_DEVICE" => settings.no_device = flag(&value).ok_or_else(|| wanted(FLAG))?,
                "THREADS" => {
                    settings.threads = value
                        .parse()
                        .ok()
                        .filter(|n| (1..=256).contains(n))
                        .ok_or_else(|| wanted("a number from 1 to 256"))?;
                }
                "INSTRUCTIONS" => {
                    let number = value.parse().ok().filter(|&n| n > 0);
                    settings.instructions = number.ok_or_else(|| wanted("a number above 0"))?;
                }
                "LOSE" => {
                    let loss = loss(&value)
                        .ok_or_else(|| wanted("launch:N or random:SEED:N, with a code after it"))?;
                    settings.lose = Some(loss);
                }
                "SILENT" => {
                    let number = value.parse().ok().filter(|n| (0..16).contains(n));
                    settings.silent =
                        Some(number.ok_or_else(|| wanted("the number of a device, from 0 to 15"))?);
                }
                "REPORT" => {
                    settings.report = Some(value.replace("%p", &std::process::id().to_string()).into());
                }
                _ => return Err(Error::Unknown(variable)),
            }
        }
        let name = name.unwrap_or_else(|| NAME.into());
        settings.devices = match names {
            Names::Number(number) => vec![name; number],
            Names::Given(names) => names,
        };
        Ok(settings)
    }

    /// What the executor of kernels has to know of these.
    pub fn vm(&self) -> vm::Settings {
        vm::Settings {
            order: self.order,
            races: self.races,
            threads: self.threads,
            instruction_limit: self.instructions,
        }
    }
}

const BYTES: &str = "a number of bytes above 0, such as 64MiB";
const FLAG: &str = "0 or 1";

enum Names {
    Number(usize),
    Given(Vec<String>),
}

fn bytes(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| text.strip_suffix(unit).map(|number| (number.trim_end(), *shift)))
        .unwrap_or((text, 0));
    number.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|&n| n > 0 && n <= 1 << 46)
}

fn devices(text: &str) -> Option<Names> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().filter(|&n| n <= 16).map(Names::Number);
    }
    let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
    (names.len() <= 16 && names.iter().all(|name| !name.is_empty())).then_some(Names::Given(names))
}

fn capability(text: &str) -> Option<(i32, i32)> {
    let (major, minor) = text.split_once('.')?;
    let digits = |s: &str| !s.is_empty() && s.len() <= 2 && s.bytes().all(|b| b.is_ascii_digit());
    (digits(major) && digits(minor)).then(|| Some((major.parse().ok()?, minor.parse().ok()?)))?
}

/// A version of CUDA as the driver gives it, or the newest one that a release of the driver runs (CUDA Toolkit release
/// notes, table "CUDA Toolkit and Corresponding Driver Versions").
fn driver(text: &str) -> Option<i32> {
    let number: i32 = text.parse().ok()?;
    Some(match number {
        9000..=99999 if number % 10 == 0 => number,
        450 => 11000,
        470 => 11040,
        525 => 12000,
        535 => 12020,
        550 => 12040,
        570 => 12080,
        575 => 12090,
        580 => 13000,
        _ => return None,
    })
}

fn order(text: &str) -> Option<vm::Order> {
    match text {
        "forward" => Some(vm::Order::Forward),
        "reversed" => Some(vm::Order::Reversed),
        _ => text.strip_prefix("random:")?.parse().ok().map(vm::Order::Random),
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

fn loss(text: &str) -> Option<Loss> {
    let mut parts = text.split(':');
    let number = |part: Option<&str>| part?.parse::<u64>().ok();
    let launch = match parts.next()? {
        "launch" => number(parts.next()).filter(|&n| n > 0)?,
        "random" => {
            let seed = number(parts.next())?;
            let among = number(parts.next()).filter(|&n| n > 0)?;
            1 + crate::scrambled(seed) % among
        }
        _ => return None,
    };
    let code = match parts.next() {
        None => Code::DeviceUnavailable,
        Some("46") => Code::DeviceUnavailable,
        Some("719") => Code::LaunchFailed,
        Some("999") => Code::Unknown,
        Some(_) => return None,
    };
    parts.next().is_none().then_some(Loss { launch, code })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn with(setting: &str, value: &str) -> Result<Settings, Error> {
        Settings::from_variables([(format!("{FAMILY}{setting}"), value.to_owned())])
    }

    #[test]
    fn memory_is_read_with_its_unit() {
        for (text, wanted) in [("4096", 4096), ("64MiB", 64 << 20), ("3 GiB", 3 << 30), ("2KiB", 2048)] {
            assert_eq!(with("MEMORY", text).unwrap().memory, wanted);
        }
    }

    #[test]
    fn a_wrong_value_is_an_error_that_names_the_variable_and_the_value() {
        let wrong = [
            ("MEMORY", "0"),
            ("MEMORY", "64MB"),
            ("MEMORY", "-1"),
            ("MEMORY", "99999999999GiB"),
            ("DEVICES", "17"),
            ("DEVICES", "a,,b"),
            ("CAPABILITY", "8"),
            ("CAPABILITY", "8."),
            ("CAPABILITY", "+8.0"),
            ("DRIVER", "536"),
            ("DRIVER", "new"),
            ("ORDER", "backward"),
            ("ORDER", "random:"),
            ("DEFERRED", "yes"),
            ("RACES", "2"),
            ("THREADS", "0"),
            ("LOSE", "launch:0"),
            ("LOSE", "launch:3:5"),
            ("LOSE", "launch:3:719:1"),
            ("LOSE", "random:1"),
            ("SILENT", "-1"),
            ("SILENT", "first"),
            ("NO_DEVICE", "true"),
        ];
        for (setting, value) in wrong {
            let said = with(setting, value).unwrap_err().to_string();
            assert!(said.contains(setting) && said.contains(value), "{said}");
        }
    }

    #[test]
    fn a_variable_of_the_family_that_is_not_in_the_table_is_refused() {
        assert_eq!(with("MEMROY", "1").unwrap_err(), Error::Unknown("EMULATED_GPU_MEMROY".into()));
    }

    #[test]
    fn other_variables_and_empty_ones_change_nothing() {
        let variables =
            [("PATH".to_owned(), "/bin".to_owned()), ("EMULATED_GPU_MEMORY".into(), String::new())];
        assert_eq!(Settings::from_variables(variables).unwrap().memory, Settings::default().memory);
    }

    #[test]
    fn devices_are_a_number_or_names() {
        let two = Settings::from_variables([
            ("EMULATED_GPU_DEVICES".to_owned(), "2".to_owned()),
            ("EMULATED_GPU_NAME".to_owned(), "Tesla".to_owned()),
        ]);
        assert_eq!(two.unwrap().devices, ["Tesla", "Tesla"]);
        assert_eq!(with("DEVICES", "NVIDIA A100, NVIDIA T4").unwrap().devices, ["NVIDIA A100", "NVIDIA T4"]);
        assert!(with("DEVICES", "0").unwrap().devices.is_empty());
    }

    #[test]
    fn a_driver_is_a_version_of_cuda_or_a_release() {
        assert_eq!(with("DRIVER", "13000").unwrap().driver, 13000);
        assert_eq!(with("DRIVER", "535").unwrap().driver, 12020);
    }

    #[test]
    fn each_process_can_have_a_report_of_its_own() {
        let report = with("REPORT", "reports/%p.json").unwrap().report.unwrap();
        assert_eq!(report, PathBuf::from(format!("reports/{}.json", std::process::id())));
    }

    #[test]
    fn a_random_loss_is_the_same_for_the_same_seed_and_within_the_first_launches() {
        let one = with("LOSE", "random:7:40").unwrap().lose.unwrap();
        assert_eq!(with("LOSE", "random:7:40").unwrap().lose, Some(one));
        assert!((1..=40).contains(&one.launch));
        let launches: std::collections::BTreeSet<_> = (0..20)
            .map(|seed| with("LOSE", &format!("random:{seed}:40")).unwrap().lose.unwrap().launch)
            .collect();
        assert!(launches.len() > 5, "{launches:?}");
        let named = with("LOSE", "launch:3:719").unwrap().lose;
        assert_eq!(named, Some(Loss { launch: 3, code: Code::LaunchFailed }));
    }

    #[test]
    fn every_setting_is_in_the_table_of_the_readme() {
        let readme = include_str!("../README.md");
        for line in
            include_str!("settings.rs").lines().filter(|line| line.starts_with("//! | `EMULATED_GPU_"))
        {
            assert!(readme.contains(line.trim_start_matches("//! ")), "not in README.md: {line}");
        }
    }
}
