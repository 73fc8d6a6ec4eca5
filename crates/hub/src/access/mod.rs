//! The way to the Hub: the token and where it is kept, the address, and who one is there.

mod account;
mod answers;
mod asking;
mod endpoint;
mod keyring;
mod network;
mod settings;
mod token;
mod token_file;

pub use account::{whoami, writes_to};
pub use asking::Limits;
pub use network::{Network, connect};
pub use settings::{Variables, cache_folder, from_environment, origin};
pub use token::{Found, Kept, Token, find, forget, keep};

pub(crate) use answers::passes;
pub(crate) use asking::bytes;
