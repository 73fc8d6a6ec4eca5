//! What is said of memory that a run does not get: whose it is, when it was wanted, and what would need less of it.

use std::fmt;

use compute::{Cpu, Device};
use record::memory;

use crate::memory::limit_mib;

/// Activations want room, too, so settings and the processor are proposed only where they leave this part of the memory
/// free.
pub(crate) const LEFT_FREE: f64 = 0.2;

/// Whose memory a run has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemoryOf {
    Computer,
    /// A card, by its name and how the settings name it, such as `NVIDIA H200 (cuda:0)`.
    Card(String),
}

impl MemoryOf {
    /// A card of which nothing may be known but what the settings name it by.
    pub fn card(name: Option<&str>, device: impl fmt::Display) -> MemoryOf {
        let name = name.filter(|name| !name.is_empty());
        MemoryOf::Card(name.map_or_else(|| device.to_string(), |name| format!("{name} ({device})")))
    }

    pub(crate) fn of(device: &Device) -> MemoryOf {
        if device.is_cpu() { MemoryOf::Computer } else { MemoryOf::card(device.name().as_deref(), device) }
    }

    pub(crate) fn wanted(device: record::Device) -> MemoryOf {
        if matches!(device, record::Device::Cuda(_)) {
            MemoryOf::card(None, device)
        } else {
            MemoryOf::Computer
        }
    }

    /// The name of the card, or nothing for the computer itself.
    pub(crate) fn name(&self) -> &str {
        match self {
            MemoryOf::Computer => "",
            MemoryOf::Card(name) => name,
        }
    }
}

impl fmt::Display for MemoryOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == MemoryOf::Computer { "this computer" } else { self.name() })
    }
}

/// When memory ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In a step, with one text at a time.
    Step(u32),
    /// In a step that had moved some of the weights already, and so cannot be repeated with fewer texts at once.
    MidStep(u32),
    /// In an evaluation, with one text at a time.
    Evaluation,
    /// Before the first step, or where no number of texts is to blame.
    Elsewhere,
}

impl When {
    /// The number of the step, 0 for none.
    pub(crate) fn step(self) -> u32 {
        match self {
            When::Step(step) | When::MidStep(step) => step,
            When::Evaluation | When::Elsewhere => 0,
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Step(step) => write!(f, " in step {step}, with one text at a time"),
            When::MidStep(step) => write!(
                f,
                " in the middle of step {step}, after the optimizer had moved some of the weights, which is why the \
                 step cannot be repeated with fewer texts at once"
            ),
            When::Evaluation => f.write_str(" in an evaluation, with one text at a time"),
            When::Elsewhere => Ok(()),
        }
    }
}

/// What would need less memory than a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedies {
    pub of: MemoryOf,
    /// Settings as `name=value`.
    pub settings: Vec<String>,
    /// Whether the run would be on another device than the processor, and the processor has room for it.
    pub processor: bool,
}

impl Remedies {
    pub(crate) fn new(of: MemoryOf, settings: Vec<String>, needed: Option<f64>) -> Remedies {
        let limit = limit_mib(&Cpu);
        let has_room = |needed: f64| limit.is_none_or(|limit| needed <= (1.0 - LEFT_FREE) * limit);
        let processor = of != MemoryOf::Computer && needed.is_some_and(has_room);
        Remedies { of, settings, processor }
    }

    /// The settings with commas between.
    pub(crate) fn settings(&self) -> String {
        self.settings.join(",")
    }

    /// Sentences. `they` says what the settings do.
    fn sentences(&self, they: &str) -> String {
        let mut all = Vec::new();
        if !self.settings.is_empty() {
            all.push(format!("{they}: {}.", self.settings.join(", ")));
        }
        if self.processor {
            all.push("The processor has room for it: device=cpu.".to_owned());
        }
        match (&self.of, all.is_empty()) {
            (MemoryOf::Computer, true) => {
                all.push("Choose a smaller model, or close other programs.".to_owned())
            }
            (MemoryOf::Computer, false) => all.push("Closing other programs may help, too.".to_owned()),
            (MemoryOf::Card(_), true) => all.push("Choose a smaller model.".to_owned()),
            (MemoryOf::Card(_), false) => {}
        }
        all.join(" ")
    }
}

/// A run that needs more than there is, known before anything of it is read. Amounts in MiB.
#[derive(Debug, Clone, PartialEq)]
pub struct CannotFit {
    pub needed: f64,
    pub available: f64,
    /// Its settings would fit, all of them together.
    pub remedies: Remedies,
}

impl fmt::Display for CannotFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [needed, available] = [self.needed, self.available].map(memory);
        let Remedies { of, .. } = &self.remedies;
        let remedies = self.remedies.sentences("These settings would fit");
        write!(f, "This run needs at least {needed} of memory and {available} can be had of {of}. {remedies}")
    }
}

/// A run whose memory ran out.
#[derive(Debug, Clone, PartialEq)]
pub struct RanOut {
    pub when: When,
    /// Each of its settings needs less.
    pub remedies: Remedies,
    /// The step of the newest checkpoint.
    pub checkpoint: Option<u32>,
}

impl fmt::Display for RanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RanOut { when, remedies, checkpoint } = self;
        write!(
            f,
            "The memory of {} ran out{when}. {}",
            remedies.of,
            remedies.sentences("Each of these needs less")
        )?;
        match checkpoint {
            Some(step) => {
                write!(f, " The run can be resumed from step {step}, with its own settings, on any device.")
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu() -> MemoryOf {
        MemoryOf::card(Some("Card"), "cuda:0")
    }

    #[test]
    fn whose_memory_it_is_is_said_and_the_processor_is_proposed_only_where_it_has_room_and_is_another_device()
    {
        let ran_out = |of: MemoryOf, settings: &[&str], needed: Option<f64>| {
            let settings = settings.iter().map(|&text| text.to_owned()).collect();
            let remedies = Remedies::new(of, settings, needed);
            RanOut { when: When::Step(3), remedies, checkpoint: None }.to_string()
        };
        assert_eq!(
            ran_out(gpu(), &["trainable=lora"], Some(0.1)),
            "The memory of Card (cuda:0) ran out in step 3, with one text at a time. Each of these needs less: \
             trainable=lora. The processor has room for it: device=cpu."
        );
        assert!(ran_out(gpu(), &[], Some(1e12)).ends_with("Choose a smaller model."));
        assert!(ran_out(gpu(), &[], None).ends_with("Choose a smaller model."));
        let own = ran_out(MemoryOf::Computer, &[], Some(0.1));
        assert_eq!(
            own,
            "The memory of this computer ran out in step 3, with one text at a time. Choose a smaller model, or close \
             other programs."
        );
    }
}
