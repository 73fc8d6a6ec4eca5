//! A small, honest stand-in for the Hugging Face Hub, for tests: the Hub's own Python clients and the Rust crate
//! hf-hub work against it unchanged, with `HF_ENDPOINT` set to [`SmallHub::url`].
//!
//! It keeps real git ids, answers with the Hub's own errors, takes large files in parts through signed addresses
//! and gives them out from another listener, as the Hub does. A test tells it what shall go wrong ([`Faults`])
//! and looks at what arrived ([`Log`]); what may reach nobody else is looked for at a [`Stranger`]. It has no Xet: large files go over plain HTTP.
//!
//! ```no_run
//! use small_hub::{Fault, Kind, Options, Role, Rule, SmallHub, Token, Write};
//!
//! let alice = Token::new("alice", "hf_alice", Role::Write);
//! let hub = SmallHub::start(Options::default().token(alice))?;
//! hub.create(Kind::Model, "alice/small")?;
//! hub.commit(Kind::Model, "alice/small", "main", "Weights", &[Write::bytes("model.safetensors", vec![0; 1000])])?;
//! hub.faults().add(Rule::once("*model.safetensors", Fault::Cut { after: 500 }));
//! // ... a client fetches from hub.url() ...
//! assert!(hub.log().tokens_at_storage().is_empty());
//! # Ok::<(), small_hub::Error>(())
//! ```

mod api;
mod attributes;
mod card;
mod damage;
mod error;
mod faults;
mod git;
mod glob;
mod hub;
mod keep;
mod lies;
mod log;
mod options;
mod people;
mod repos;
mod sending;
mod serve;
mod signed;
mod small_hub;
mod storage;
mod storage_api;
mod storage_paths;
mod stranger;
mod uploads;

pub use error::{Error, Result};
pub use faults::{Fault, Faults, Rule};
pub use git::Entry;
pub use log::{Listener, Log, Logged, token_hash};
pub use options::Options;
pub use people::{Role, Scope, Token};
pub use repos::{Commit, Gated, Kind};
pub use small_hub::{SmallHub, Write};
pub use stranger::{Says, Stranger};
