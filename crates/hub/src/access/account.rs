//! Who one is on the Hub, and what the token may do there.

use record::{Account, TokenRole};
use reqwest::Method;
use serde::Deserialize;

use super::{Network, bytes};
use crate::{
    error::{Error, Result},
    shown::shown,
};

/// What `GET /api/whoami-v2` answers, as `huggingface_hub`'s `whoami` has it.
#[derive(Deserialize)]
struct Answer {
    name: String,
    #[serde(default)]
    orgs: Vec<Org>,
    #[serde(default)]
    auth: Auth,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Org {
    name: String,
    role_in_org: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Auth {
    access_token: Option<AccessToken>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessToken {
    display_name: Option<String>,
    role: Option<String>,
    fine_grained: Option<FineGrained>,
}

#[derive(Deserialize)]
struct FineGrained {
    #[serde(default)]
    scoped: Vec<Scope>,
}

#[derive(Deserialize)]
struct Scope {
    entity: Entity,
    #[serde(default)]
    permissions: Vec<String>,
}

#[derive(Deserialize)]
struct Entity {
    name: Option<String>,
}

/// Accounts, organisations and repositories that one writes to and that are looked at.
const MOST_PLACES: usize = 1000;

/// Asks the Hub whose the token is. Fails with [`Error::NoToken`] where there is none, and with
/// [`Error::WrongToken`] where the Hub does not know it.
pub async fn whoami(network: &Network) -> Result<Account> {
    if !network.has_token() {
        return Err(Error::NoToken);
    }
    let url = network.url(["api", "whoami-v2"]);
    let what = (bytes::OTHER, "whose the token is");
    let asked = network.send_json(Method::GET, url, "", what, |request| request);
    let (answer, _) = network.question(asked).await?;
    let mut found = account(answer);
    found.writes_to.truncate(MOST_PLACES);
    Ok(found)
}

fn account(answer: Answer) -> Account {
    let token = answer.auth.access_token;
    let role = token.as_ref().and_then(|token| match token.role.as_deref()? {
        "read" => Some(TokenRole::Read),
        "write" => Some(TokenRole::Write),
        "fineGrained" => Some(TokenRole::FineGrained),
        _ => None,
    });
    let may_write = |org: &&Org| org.role_in_org.as_deref() != Some("read");
    let everywhere = || {
        let orgs = answer.orgs.iter().filter(may_write).map(|org| shown(&org.name));
        std::iter::once(shown(&answer.name)).chain(orgs).collect()
    };
    let writes_to = match role {
        Some(TokenRole::Read) => Vec::new(),
        Some(TokenRole::FineGrained) => {
            let scopes = token.as_ref().and_then(|token| token.fine_grained.as_ref());
            let scopes = scopes.map(|scopes| scopes.scoped.as_slice()).unwrap_or_default();
            let writes = |scope: &&Scope| scope.permissions.iter().any(|what| what == "repo.write");
            scopes.iter().filter(writes).filter_map(|scope| scope.entity.name.as_deref().map(shown)).collect()
        }
        // What the Hub does not tell, it will refuse when asked.
        Some(TokenRole::Write) | None => everywhere(),
    };
    let token_name = token.and_then(|token| token.display_name).as_deref().map(shown);
    Account { name: shown(&answer.name), token_name, role, writes_to }
}

/// Whether the account may write to a repository, as far as the Hub tells it.
pub fn writes_to(account: &Account, repo: &str) -> bool {
    let owner = repo.split_once('/').map_or(account.name.as_str(), |(owner, _)| owner);
    let same = |place: &String| place.eq_ignore_ascii_case(owner) || place.eq_ignore_ascii_case(repo);
    account.writes_to.iter().any(same)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told(token: &str) -> Account {
        let text = format!(
            r#"{{"type": "user", "name": "me", "fullname": "Me", "orgs": [{{"name": "us", "roleInOrg": "write"}},
                {{"name": "them", "roleInOrg": "read"}}], "auth": {{"type": "access_token", "accessToken": {token}}}}}"#
        );
        account(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn a_token_writes_where_the_hub_says_that_it_may() {
        let write = told(r#"{"displayName": "mine", "role": "write"}"#);
        assert_eq!((write.role, write.token_name.as_deref()), (Some(TokenRole::Write), Some("mine")));
        assert_eq!(write.writes_to, ["me", "us"]);
        assert!(writes_to(&write, "us/x") && writes_to(&write, "Me/x") && writes_to(&write, "x"));
        assert!(!writes_to(&write, "them/x"));
        assert!(told(r#"{"role": "read"}"#).writes_to.is_empty());
        let fine = told(
            r#"{"role": "fineGrained", "fineGrained": {"global": [], "scoped": [
                {"entity": {"type": "user", "name": "me"}, "permissions": ["repo.content.read"]},
                {"entity": {"type": "model", "name": "us/x"}, "permissions": ["repo.content.read", "repo.write"]}]}}"#,
        );
        assert!(writes_to(&fine, "us/x") && !writes_to(&fine, "us/y") && !writes_to(&fine, "me/x"));
        assert_eq!(told("null").writes_to, ["me", "us"]);
    }
}
