use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Something that a run could compute on, or that is there and cannot be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct DeviceInfo {
    /// What the setting `device` names it by: `cpu`, `cuda:0`.
    pub device: String,
    /// What its maker calls it.
    pub name: String,
    /// All of its memory, and what of it is free, in MiB, where that is known.
    pub memory_mib: Option<f64>,
    pub free_mib: Option<f64>,
    /// Why it cannot be used; none where it can.
    pub unusable: Option<Unusable>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Unusable {
    /// This engine has no arithmetic for such devices.
    NoBackend,
    /// The system has no driver for it.
    NoDriver,
}

impl Unusable {
    pub fn reason(self) -> &'static str {
        match self {
            Unusable::NoBackend => "this engine computes on processors only",
            Unusable::NoDriver => "the system has no driver for it",
        }
    }
}
