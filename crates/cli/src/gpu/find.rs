//! The GPUs of this machine, by the engine for them where it can be asked, else by what the system shows.

use std::time::Duration;

use record::{DeviceInfo, LEAST_DRIVER, Unusable};

use super::{Engine, Found, libraries, lineage, places::Places, probe, start::is_started, system};
use crate::print;

/// The GPUs, and the engine for them if it has listed any, which may take some seconds.
pub fn find() -> Found {
    let places = Places::of_this_process();
    let found = find_in(&places, probe::LIMIT);
    if found.engine.is_some() {
        // Where there is no engine to start, one of them is the reason.
        for mistake in libraries::mistakes(&places) {
            print::note(&format!("{mistake}."));
        }
    }
    found
}

fn find_in(places: &Places, limit: Duration) -> Found {
    let mut cards = system::cards(&places.root);
    if cards.is_empty() {
        if places.given.is_empty() && !system::has_other_gpu(&places.root) {
            return Found { gpus: Vec::new(), engine: None };
        }
        // Something speaks for a GPU, and nothing has shown one.
        cards.push(String::new());
    }
    let unusable = |why: Unusable| {
        let gpu = |(number, name): (usize, &String)| DeviceInfo {
            device: format!("cuda:{number}"),
            name: name.clone(),
            memory_mib: None,
            free_mib: None,
            unusable: Some(why.clone()),
        };
        Found { gpus: cards.iter().enumerate().map(gpu).collect(), engine: None }
    };
    match ask(places, limit) {
        Ok((gpus, _)) if gpus.is_empty() => unusable(Unusable::NotListed),
        Ok((gpus, engine)) => Found { gpus: named(gpus, places), engine: Some(engine) },
        Err(why) => unusable(why),
    }
}

fn ask(places: &Places, limit: Duration) -> Result<(Vec<DeviceInfo>, Engine), Unusable> {
    let driver = libraries::driver(places);
    let version = system::driver_version(&places.root);
    // The version is that of the system's own driver, and not of one that was given.
    let version = version.filter(|_| !driver.as_ref().is_ok_and(|driver| places.given.contains(driver)));
    let old = |found: String| Unusable::OldDriver { found, needed: LEAST_DRIVER.to_owned() };
    let least = system::major(LEAST_DRIVER);
    // It goes before all that is missing beside it: a newer driver is needed whatever else is.
    if let Some(found) = version.as_ref().filter(|found| system::major(found) < least) {
        return Err(old(found.clone()));
    }
    driver?;
    let program = libraries::engine(places)?;
    if is_started() || lineage::runs(&program) {
        // What was started as the engine has come back to here, where there is no CUDA, and would be started again.
        return Err(Unusable::Failed { reason: "mbti-cuda was built without CUDA".to_owned() });
    }
    let libraries = libraries::libraries(places)?;
    let engine = Engine { program, libraries: libraries.folders };
    match probe::ask(&engine, limit) {
        Ok(gpus) => Ok((gpus, engine)),
        // Not the driver's age, which was looked at above: a library of CUDA may lack a function as well.
        Err(error) => Err(error.why()),
    }
}

/// A driver is known by its own version; the engine knows only which CUDA it supports.
fn named(mut gpus: Vec<DeviceInfo>, places: &Places) -> Vec<DeviceInfo> {
    let version = system::driver_version(&places.root).filter(|_| places.given.is_empty());
    for gpu in &mut gpus {
        if let (Some(Unusable::OldDriver { found, .. }), Some(version)) = (&mut gpu.unusable, &version) {
            found.clone_from(version);
        }
    }
    gpus
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::scripted, *};
    /// A machine with one card and its driver, a program with the engine beside it, and CUDA's libraries.
    struct Machine {
        root: tempfile::TempDir,
    }

    impl Machine {
        fn new() -> Machine {
            let machine =
                Machine { root: tempfile::tempdir_in(std::env::temp_dir().canonicalize().unwrap()).unwrap() };
            machine.write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
            machine.write("sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n");
            machine.write(
                "proc/driver/nvidia/gpus/0000:01:00.0/information",
                "Model: NVIDIA GeForce RTX 3060\n",
            );
            machine.write("sys/module/nvidia/version", "580.65.06\n");
            for library in
                ["usr/lib64/libcuda.so.1", "opt/cuda/lib64/libcublas.so.13", "opt/cuda/lib64/libcurand.so.10"]
            {
                machine.write(library, "");
            }
            machine.engine(r#"echo '[{"device":"cuda:0","name":"NVIDIA GeForce RTX 3060","memory_mib":12000,"free_mib":11000,"unusable":null}]'"#);
            machine
        }

        fn path(&self, path: &str) -> std::path::PathBuf {
            self.root.path().join(path)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn engine(&self, script: &str) {
            std::fs::create_dir_all(self.path("usr/bin")).unwrap();
            scripted::engine(&self.path("usr/bin"), script);
        }

        fn remove(&self, path: &str) {
            std::fs::remove_file(self.path(path)).unwrap();
        }

        fn places(&self) -> Places {
            Places { root: self.root.path().to_owned(), own: "/usr/bin".into(), ..Places::default() }
        }

        fn find(&self) -> Found {
            find_in(&self.places(), Duration::from_secs(10))
        }

        /// Why its one card cannot be used.
        fn why(&self) -> Unusable {
            let found = self.find();
            assert_eq!(found.engine, None);
            let [gpu] = &found.gpus[..] else { unreachable!() };
            assert_eq!((&gpu.device[..], &gpu.name[..]), ("cuda:0", "NVIDIA GeForce RTX 3060"));
            gpu.unusable.clone().unwrap()
        }
    }

    #[test]
    fn a_card_with_all_that_it_needs_can_be_used_by_the_engine_beside_this_program() {
        let machine = Machine::new();
        let found = machine.find();
        assert_eq!(found.gpus.len(), 1);
        assert_eq!(found.gpus[0].unusable, None);
        let libraries = vec![machine.path("opt/cuda/lib64")];
        assert_eq!(found.engine, Some(Engine { program: machine.path("usr/bin/mbti-cuda"), libraries }));
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let machine = Machine::new();
        machine.remove("opt/cuda/lib64/libcublas.so.13");
        assert_eq!(machine.why(), Unusable::NoLibraries);
        machine.remove("usr/bin/mbti-cuda");
        assert_eq!(machine.why(), Unusable::NoEngine);
        machine.write("sys/module/nvidia/version", "535.183.01\n");
        let old = Unusable::OldDriver { found: "535.183.01".into(), needed: "580".into() };
        assert_eq!(machine.why(), old);
        assert_eq!(old.to_string(), "its driver is 535.183.01: 580 or newer is needed");
        machine.remove("usr/lib64/libcuda.so.1");
        assert_eq!(machine.why(), old);
        machine.remove("sys/module/nvidia/version");
        assert_eq!(machine.why(), Unusable::NoDriver);
    }

    #[test]
    fn an_engine_that_fails_leaves_the_card_listed_with_the_reason() {
        let machine = Machine::new();
        machine.engine("kill -SEGV $$");
        assert!(matches!(machine.why(), Unusable::Failed { reason } if reason.contains("signal: 11")));
        // The driver is new enough, so it is not said to be too old.
        for symbol in ["cublasLtNew, version libcublasLt.so.13", "cuNew"] {
            let line = format!("symbol lookup error: mbti-cuda: undefined symbol: {symbol}");
            machine.engine(&format!("echo '{line}' >&2; exit 127"));
            assert!(matches!(machine.why(), Unusable::Failed { reason } if reason.ends_with(&line)));
        }
        machine.engine("echo 'x: error while loading shared libraries: libcublasLt.so.13: cannot open shared object file: No such file or directory' >&2; exit 127");
        assert_eq!(machine.why(), Unusable::LibraryMissing { library: "libcublasLt.so.13".into() });
        machine.engine("echo '[]'");
        assert_eq!(machine.why(), Unusable::NotListed);
    }

    #[test]
    fn what_the_engine_says_of_a_card_is_kept_and_an_old_driver_has_its_own_version() {
        let machine = Machine::new();
        let listed = |unusable: &str| {
            machine.engine(&format!(
                r#"echo '[{{"device":"cuda:0","name":"A","memory_mib":1,"free_mib":null,"unusable":{unusable}}}]'"#
            ));
            machine.find().gpus[0].unusable.clone().unwrap()
        };
        let old_card = listed(r#"{"kind":"old_card","capability":"7.5"}"#);
        assert_eq!(old_card, Unusable::OldCard { capability: "7.5".into() });
        let old_driver = r#"{"kind":"old_driver","found":"CUDA 12.2","needed":"580"}"#;
        assert!(matches!(listed(old_driver), Unusable::OldDriver { found, .. } if found == "580.65.06"));
        machine.remove("sys/module/nvidia/version");
        assert!(matches!(listed(old_driver), Unusable::OldDriver { found, .. } if found == "CUDA 12.2"));
    }

    #[test]
    fn nothing_is_started_where_there_is_no_card_or_where_this_is_the_engine_already() {
        let machine = Machine::new();
        machine.remove("usr/bin/mbti-cuda");
        let this = std::env::current_exe().unwrap();
        std::os::unix::fs::symlink(this, machine.path("usr/bin/mbti-cuda")).unwrap();
        assert!(matches!(machine.why(), Unusable::Failed { reason } if reason.contains("without CUDA")));
        machine.remove("usr/bin/mbti-cuda");
        machine.engine("touch \"$(dirname \"$0\")/started\"");
        for file in ["vendor", "class"] {
            machine.remove(&format!("sys/bus/pci/devices/0000:01:00.0/{file}"));
        }
        assert!(machine.find().gpus.is_empty());
        assert!(!machine.path("usr/bin/started").exists());
        // On WSL no bus shows the card.
        machine.write("dev/dxg", "");
        assert_eq!(machine.find().gpus[0].name, "", "nothing has shown it");
        assert!(machine.path("usr/bin/started").exists());
    }

    #[test]
    fn the_folders_that_were_given_are_a_gpu_of_their_own() {
        let machine = Machine::new();
        machine.write("sys/module/nvidia/version", "535.183.01\n");
        for library in ["libcuda.so.1", "libcublas.so.13", "libcurand.so.10"] {
            machine.write(&format!("given/{library}"), "");
        }
        let given = machine.path("given");
        let places = Places { given: vec![given.clone()], ..machine.places() };
        let found = find_in(&places, Duration::from_secs(10));
        assert_eq!((found.gpus.len(), &found.gpus[0].unusable), (1, &None));
        assert_eq!(found.engine.unwrap().libraries, [given]);
    }
}
