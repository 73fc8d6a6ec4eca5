use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::refusal::{Answer, Refusal};
use super::{Asked, redirect};
use crate::repos::Kind;

const BRANCH: &str = "refs/convert/parquet";

/// GET /api/datasets/{id}/parquet, .../{config}, .../{config}/{split}: 200 with the addresses of the converted
/// files, which are those of the branch refs/convert/parquet; 404 if there is none. And .../{config}/{split}/{n}.parquet:
/// 302 to the file itself.
pub(crate) fn parquet(asked: &Asked) -> Answer {
    let rest: Vec<&str> = asked.rest.iter().map(String::as_str).collect();
    let names = asked.with_repo(|repo| {
        let commit = repo.commit_at(BRANCH).filter(|_| asked.kind == Kind::Dataset);
        let commit = commit.ok_or_else(|| Refusal::no_such_entry(None))?;
        Ok(commit.files.keys().cloned().collect::<Vec<String>>())
    })?;
    let mut splits: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for name in &names {
        if let [config, split, file] = name.split('/').collect::<Vec<_>>().as_slice()
            && file.ends_with(".parquet")
        {
            splits.entry((config, split)).or_default().push(file);
        }
    }
    let base = format!("{}/api/datasets/{}/parquet", asked.hub.url, asked.id);
    let addresses = |config: &str, split: &str| -> Option<Value> {
        let count = splits.get(&(config, split))?.len();
        Some((0..count).map(|number| json!(format!("{base}/{config}/{split}/{number}.parquet"))).collect())
    };
    let configs = || -> BTreeMap<&str, Value> {
        let mut configs: BTreeMap<&str, Value> = BTreeMap::new();
        for &(config, split) in splits.keys() {
            let about = configs.entry(config).or_insert_with(|| json!({}));
            about[split] = addresses(config, split).unwrap_or_default();
        }
        configs
    };
    let missing = || Refusal::no_such_entry(None);
    match rest.as_slice() {
        [] => Ok(super::json(&json!(configs()))),
        [config] => Ok(super::json(configs().get(config).ok_or_else(missing)?)),
        [config, split] => Ok(super::json(&addresses(config, split).ok_or_else(missing)?)),
        [config, split, file] => {
            let number = file.strip_suffix(".parquet").and_then(|number| number.parse::<usize>().ok());
            let files = splits.get(&(*config, *split)).ok_or_else(missing)?;
            let name = number.and_then(|number| files.get(number)).ok_or_else(missing)?;
            let path =
                format!("/datasets/{}/resolve/refs%2Fconvert%2Fparquet/{config}/{split}/{name}", asked.id);
            Ok(redirect(StatusCode::FOUND, &path))
        }
        _ => Err(missing()),
    }
}
