use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use serde_json::Value;

use super::info::{Detail, describe, expand};
use super::refusal::Answer;
use super::{Query, rights};
use crate::hub::Hub;
use crate::people::{Token, namespace};
use crate::repos::{Kind, Repo};

/// The most that one page of a search holds.
const PAGE: usize = 1000;

/// GET /api/models and /api/datasets with `search`, `author`, `filter`, `pipeline_tag`, `full`, `limit`, `expand`
/// and `cursor`: 200 with those that this person may see. `list_models`, `list_datasets` and hf-hub's rely on it.
/// They come in the order of their names, whatever `sort` says.
pub(crate) fn list(hub: &Hub, person: Option<&Token>, kind: Kind, query: &Query, uri: &Uri) -> Answer {
    let repos = hub.repos();
    let detail = if query.flag("full") { Detail::Full } else { Detail::Brief };
    let search = query.get("search").map(str::to_lowercase);
    let mut wanted = query.all("expand");
    wanted.extend(query.all("expand[]"));
    let described = repos
        .all()
        .filter(|repo| repo.kind == kind && rights::seen(Some(repo), person).is_ok())
        .filter(|repo| search.as_ref().is_none_or(|search| repo.id.to_lowercase().contains(search)))
        .filter(|repo| query.get("author").is_none_or(|author| author == namespace(&repo.id)))
        .filter_map(|repo: &Repo| {
            let detail = if wanted.is_empty() { detail } else { Detail::Full };
            Some(describe(hub, repo, repo.newest()?, detail))
        })
        .filter(|about| {
            let tagged = |tag: &str| {
                about
                    .get("tags")
                    .and_then(Value::as_array)
                    .is_some_and(|tags| tags.iter().any(|one| one == tag))
            };
            let tag = query.get("pipeline_tag");
            query.all("filter").iter().all(|filter| filter.split(',').all(tagged))
                && tag.is_none_or(|tag| about.get("pipeline_tag").is_some_and(|one| one == tag))
        });
    let found: Vec<Value> = described.map(|about| Value::Object(expand(about, &wanted))).collect();
    let limit = query.number("limit").unwrap_or(PAGE).clamp(1, PAGE);
    Ok(page(&hub.url, uri, query, found, limit))
}

/// One page, with the address of the next in the Link header, as `paginate` and hf-hub follow it.
pub(super) fn page(url: &str, uri: &Uri, query: &Query, all: Vec<Value>, limit: usize) -> Response {
    let start = query.number("cursor").unwrap_or(0);
    let end = (start + limit).min(all.len());
    let more = end < all.len();
    let page = all.into_iter().skip(start).take(limit).collect();
    let mut answer = super::json(&Value::Array(page));
    if more {
        let kept = uri.query().unwrap_or_default().split('&');
        let kept: Vec<&str> = kept.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor=")).collect();
        let next = format!("cursor={end}");
        let pairs = [kept.as_slice(), &[next.as_str()]].concat().join("&");
        if let Ok(link) = HeaderValue::from_str(&format!("<{url}{}?{pairs}>; rel=\"next\"", uri.path())) {
            answer.headers_mut().insert(header::LINK, link);
        }
    }
    answer
}
