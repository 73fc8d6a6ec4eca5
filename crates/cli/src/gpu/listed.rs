//! The GPUs as the driver lists them to this program, which is built with CUDA.

use std::path::Path;

use compute::cuda::{Gpu, ListError, Unfit};
use record::{DeviceInfo, LEAST_DRIVER, Unusable};

use super::{Found, system};

const MIB: f64 = 1024.0 * 1024.0;

/// The GPUs, each usable by this program itself or with the reason why not.
pub fn find() -> Found {
    let gpus = match compute::cuda::list() {
        Ok(gpus) => gpus.into_iter().enumerate().map(|(number, gpu)| info(number, gpu)).collect(),
        Err(error) => unlisted(&system::cards(Path::new("/")), &error),
    };
    Found { gpus, engine: None }
}

fn info(number: usize, gpu: Gpu) -> DeviceInfo {
    DeviceInfo {
        device: format!("cuda:{number}"),
        name: gpu.name,
        memory_mib: gpu.total.map(|total| total as f64 / MIB),
        free_mib: gpu.free.map(|free| free as f64 / MIB),
        unusable: gpu.unfit.map(unusable),
    }
}

fn unusable(why: Unfit) -> Unusable {
    match why {
        Unfit::OldDriver { cuda } => {
            Unusable::OldDriver { found: format!("CUDA {cuda}"), needed: LEAST_DRIVER.to_owned() }
        }
        Unfit::OldCard { capability } => Unusable::OldCard { capability },
        // A program needs some memory of a card's to ask it anything.
        Unfit::Driver { ref name, .. } if name.contains("OUT_OF_MEMORY") => Unusable::Failed {
            reason: format!(
                "no program can use it, as its memory is full ({name}): `nvidia-smi` lists those that have it"
            ),
        },
        Unfit::Driver { .. } => Unusable::Failed { reason: why.to_string() },
    }
}

/// The cards that the system shows and the driver does not list. Where it shows none, one without a name
/// stands for what failed.
fn unlisted(cards: &[String], error: &ListError) -> Vec<DeviceInfo> {
    let why = match error {
        ListError::NoDevice => Unusable::NotListed,
        ListError::Driver { .. } => Unusable::Failed { reason: error.to_string() },
    };
    let unnamed = [String::new()];
    let cards = match (cards, error) {
        ([], ListError::Driver { .. }) => &unnamed,
        _ => cards,
    };
    let gpu = |(number, name): (usize, &String)| DeviceInfo {
        device: format!("cuda:{number}"),
        name: name.clone(),
        memory_mib: None,
        free_mib: None,
        unusable: Some(why.clone()),
    };
    cards.iter().enumerate().map(gpu).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_named_by_its_place_an_old_driver_by_its_cuda_and_a_full_card_is_said_to_be_one() {
        let gpu = Gpu { name: "A".into(), total: Some(1 << 30), free: None, unfit: None };
        assert_eq!(info(1, gpu.clone()).device, "cuda:1");
        assert_eq!(info(1, gpu.clone()).memory_mib, Some(1024.0));
        let old = Gpu { unfit: Some(Unfit::OldDriver { cuda: "12.2".into() }), ..gpu.clone() };
        let expected = Unusable::OldDriver { found: "CUDA 12.2".into(), needed: "580".into() };
        assert_eq!(info(0, old).unusable, Some(expected));
        let (call, name) = ("cuDevicePrimaryCtxRetain", "CUDA_ERROR_OUT_OF_MEMORY".into());
        let full = Gpu { unfit: Some(Unfit::Driver { call, name }), ..gpu };
        assert!(
            matches!(info(0, full).unusable, Some(Unusable::Failed { reason }) if reason.contains("its memory is full"))
        );
    }

    #[test]
    fn cards_that_the_driver_does_not_list_are_listed_with_the_reason() {
        let cards = ["A".to_owned(), "B".to_owned()];
        let found = unlisted(&cards, &ListError::NoDevice);
        assert!(found.iter().all(|gpu| gpu.unusable == Some(Unusable::NotListed)) && found.len() == 2);
        assert!(unlisted(&[], &ListError::NoDevice).is_empty());
        let broken = ListError::Driver { call: "cuInit", name: "CUDA_ERROR_UNKNOWN".into() };
        let found = unlisted(&[], &broken);
        assert!(
            matches!(&found[..], [gpu] if gpu.unusable.as_ref().is_some_and(|why| why.kind() == "failed"))
        );
    }
}
