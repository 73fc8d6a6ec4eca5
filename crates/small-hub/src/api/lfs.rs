use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method, Uri, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::refusal::{Answer, Refusal};
use super::{Asked, read_json, rights};
use crate::hub::Hub;
use crate::{signed, storage_paths};

/// {id}.git/info/lfs/...: what git-lfs and the clients say before and after they bring a large file.
pub(crate) async fn lfs(method: &Method, asked: &Asked, body: Body) -> Answer {
    let rest: Vec<&str> = asked.rest.iter().map(String::as_str).collect();
    match (method.as_str(), rest.as_slice()) {
        ("POST", ["objects", "batch"]) => batch(asked, body).await,
        ("POST", ["verify"]) => verify(asked, body).await,
        _ => Err(Refusal::unknown_address()),
    }
}

#[derive(Deserialize)]
struct Batch {
    operation: String,
    #[serde(default)]
    transfers: Vec<String>,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    size: u64,
}

/// POST {id}.git/info/lfs/objects/batch: 200 with where each object is to go, in one piece or in parts, and
/// without `actions` for those that are there already; 401, 403, 404. `post_lfs_batch_info` and `lfs_upload` rely
/// on it. The transfer is never "xet".
async fn batch(asked: &Asked, body: Body) -> Answer {
    let batch: Batch = read_json(body).await?;
    let downloads = match batch.operation.as_str() {
        "upload" => {
            asked.writer()?;
            false
        }
        "download" => {
            asked.with_repo(|repo| rights::may_read_files(repo, asked.person.as_ref()))?;
            true
        }
        other => return Err(Refusal::bad_request(&format!("There is no operation {other}"))),
    };
    // git-lfs itself knows "basic" alone, and a client that says nothing means that.
    let takes_parts = batch.transfers.iter().any(|transfer| transfer == "multipart");
    let mut in_parts = false;
    let mut objects = Vec::new();
    for object in &batch.objects {
        let mut about = json!({"oid": object.oid, "size": object.size, "authenticated": true});
        let there = asked.hub.storage.has_large(&object.oid) == Some(object.size);
        let well_named = object.oid.len() == 64 && object.oid.bytes().all(|byte| byte.is_ascii_hexdigit());
        if downloads && there {
            about["actions"] = json!({"download": {"href": download(&asked.hub, &object.oid)}});
        } else if downloads {
            about["error"] = json!({"code": 404, "message": "Object does not exist"});
        } else if !well_named {
            about["error"] = json!({"code": 422, "message": "The oid is no SHA-256"});
        } else if !there {
            let parts = takes_parts && object.size > asked.hub.options.part_size;
            in_parts |= parts;
            about["actions"] = upload(asked, object, parts);
        }
        objects.push(about);
    }
    let transfer = if in_parts { "multipart" } else { "basic" };
    let mut answer = super::json(&json!({"transfer": transfer, "objects": objects, "hash_algo": "sha256"}));
    let lfs = HeaderValue::from_static("application/vnd.git-lfs+json; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, lfs);
    Ok(answer)
}

fn download(hub: &Hub, oid: &str) -> String {
    let path = format!("{}{oid}", storage_paths::OBJECTS);
    format!("{}{}", hub.storage_url, signed::sign(&hub.secret, &path, hub.options.signed_for, None))
}

/// In parts: the address of each under its number, their size, and as the address of the whole that of the
/// completion. In one piece: its address.
fn upload(asked: &Asked, object: &Object, in_parts: bool) -> Value {
    let hub = &asked.hub;
    let part_size = hub.options.part_size;
    let count = in_parts.then(|| object.size.div_ceil(part_size));
    let name = hub.uploads().begin(&object.oid, object.size, count);
    let at_storage = |path: String| {
        format!("{}{}", hub.storage_url, signed::sign(&hub.secret, &path, hub.options.signed_for, None))
    };
    let upload = match count {
        Some(count) => {
            let mut header = Map::new();
            header.insert("chunk_size".to_owned(), json!(part_size.to_string()));
            for number in 1..=count {
                let address = at_storage(format!("{}{name}/{number}", storage_paths::UPLOADS));
                header.insert(number.to_string(), json!(address));
            }
            let completion =
                signed::sign(&hub.secret, "/api/complete_multipart", hub.options.signed_for, None);
            json!({"href": format!("{}{completion}&uploadId={name}", hub.url), "header": header})
        }
        None => json!({"href": at_storage(format!("{}{name}", storage_paths::UPLOADS))}),
    };
    let verify = format!("{}/{}{}.git/info/lfs/verify", hub.url, asked.kind.prefix(), asked.id);
    json!({"upload": upload, "verify": {"href": verify}})
}

#[derive(Deserialize)]
struct Completion {
    oid: String,
    parts: Vec<CompletedPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompletedPart {
    part_number: u64,
    etag: String,
}

/// POST /api/complete_multipart with the number and ETag of each part: 200 when the whole is what it was said to
/// be, also for the second time; 400 if parts are missing or wrong, 403 with a bad signature, 404 for an unknown
/// upload. It needs no token: `_upload_multi_part` sends none.
pub(crate) async fn complete(State(hub): State<Arc<Hub>>, uri: Uri, body: Body) -> Answer {
    storage_paths::allowed(&hub.secret, &uri)?;
    let completion: Completion = read_json(body).await?;
    let name = signed::parameter(&uri, "uploadId").unwrap_or_default();
    // Whoever has waited too long for an answer and asks again waits for the same completion.
    let one_at_a_time = hub.completing.clone().lock_owned().await;
    let upload = hub.uploads().open.get(&name).cloned();
    let Some(upload) = upload else {
        // Whoever did not get the answer asks again.
        return match hub.storage.has_large(&completion.oid) {
            Some(_) => Ok(super::json(&json!({"success": true}))),
            None => Err(Refusal::new(404, "The specified upload does not exist.")),
        };
    };
    let wanted = upload.parts_wanted.unwrap_or(1);
    let mut pieces: Vec<PathBuf> = Vec::new();
    for (number, said) in (1..=wanted).zip(&completion.parts) {
        let part = upload.parts.get(&number).filter(|_| said.part_number == number);
        let part = part.filter(|part| part.etag == said.etag.trim_matches('"'));
        let part =
            part.ok_or_else(|| Refusal::bad_request("One or more of the parts could not be found."))?;
        pieces.push(part.place.clone());
    }
    if completion.parts.len() as u64 != wanted || completion.oid != upload.oid {
        return Err(Refusal::bad_request("The list of parts is not that of the upload."));
    }
    // It goes on to its end when nobody waits for the answer any more.
    let work = tokio::spawn(async move {
        keep(&hub, pieces, upload.oid.clone(), upload.size).await?;
        hub.uploads().open.remove(&name);
        drop(one_at_a_time);
        Ok(())
    });
    work.await.unwrap_or_else(|_| Err(Refusal::new(500, "The upload could not be kept.")))?;
    Ok(super::json(&json!({"success": true})))
}

/// Makes a large file of its pieces, if they are what was said, and removes them.
pub(crate) async fn keep(
    hub: &Arc<Hub>,
    pieces: Vec<PathBuf>,
    oid: String,
    size: u64,
) -> Result<(), Refusal> {
    let shared = hub.clone();
    let kept = tokio::task::spawn_blocking(move || {
        let right = |found: &str, found_size: u64| found == oid && found_size == size;
        let (found, found_size) = shared.storage.keep_large(&pieces, right)?;
        if !right(&found, found_size) {
            return Ok(false);
        }
        for piece in &pieces {
            let _ = std::fs::remove_file(piece);
        }
        Ok(true)
    });
    match kept.await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Refusal::bad_request("The content is not that of the oid.")),
        Ok(Err(error)) => Err(Refusal::broken(error)),
        Err(_) => Err(Refusal::new(500, "The upload could not be kept.")),
    }
}

/// POST {id}.git/info/lfs/verify: 200 if the object has arrived with this size, 400 with another, 404 if not;
/// 401 and 403. `lfs_upload` ends with it.
async fn verify(asked: &Asked, body: Body) -> Answer {
    asked.writer()?;
    let object: Object = read_json(body).await?;
    match asked.hub.storage.has_large(&object.oid) {
        Some(size) if size == object.size => Ok(super::json(&json!({}))),
        Some(_) => Err(Refusal::bad_request("The object has another size.")),
        None => Err(Refusal::new(404, "The object does not exist.")),
    }
}
