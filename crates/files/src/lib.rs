//! Files and folders where somebody else may have put something: a pipe where a file is expected, a link to
//! another place, a file of a name that we want to write.
//!
//! All errors are [`std::io::Error`]s whose text completes the sentence "PATH cannot be read: …", because
//! every caller has its own error with the path in it.

mod enclosure;
mod held;
mod open;
mod private;
mod remove;
mod replace;
mod within;

pub use enclosure::{Enclosure, Found};
pub use open::{JSON_LIMIT, open_own, open_regular, read_limited, read_text_limited};
pub use private::{make_private_folder, restrict_to_owner};
pub use remove::{REMOVED, remove_file_if_there, remove_folder};
pub use replace::{Access, NewFolder, Replacement, advice_to_write, replace, sync_folder, without_path};
pub use within::resolve_within;
