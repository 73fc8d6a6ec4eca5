//! Where the storage answers, and whether a signed address is good there.

use axum::http::Uri;

use crate::api::refusal::Refusal;
use crate::signed::{self, NotAllowed};

pub(crate) const PREFIX: &str = "/_storage/";
pub(crate) const OBJECTS: &str = "/_storage/objects/";
pub(crate) const UPLOADS: &str = "/_storage/uploads/";

/// 403 with the storage's words for a signature that is wrong or too old.
pub(crate) fn allowed(secret: &str, uri: &Uri) -> Result<(), Refusal> {
    signed::check(secret, uri).map_err(|reason| {
        Refusal::forbidden(match reason {
            NotAllowed::Expired => "Request has expired",
            NotAllowed::WrongSignature => {
                "The request signature we calculated does not match the signature you provided."
            }
        })
    })
}
