//! The way to the Hub: the token and where it is kept, the address, and who one is there.

mod account;
mod answers;
mod asking;
mod echo;
mod endpoint;
mod keyring;
mod limits;
mod network;
mod reasons;
mod settings;
mod token;
mod token_file;
mod token_places;
mod waits;

pub use account::{whoami, writes_to};
pub use limits::Limits;
pub use network::{Network, connect};
pub use settings::{SECRETS, Variables, cache_folder, from_environment, hold_tokens, origin};
pub use token::Token;
pub use token_places::{Found, Kept, find, forget, keep};
pub use waits::tell_of_waits;

pub(crate) use answers::passes;
pub(crate) use limits::bytes;
pub(crate) use waits::waits;
