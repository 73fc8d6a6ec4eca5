//! Who may do what.

use axum::http::{HeaderMap, header};

use crate::api::refusal::Refusal;
use crate::hub::Hub;
use crate::people::{Role, Token, namespace};
use crate::repos::{Gated, Kind, Repo};

/// Who asks; `None` without a token. 401 with an unknown one.
pub(crate) fn person(hub: &Hub, headers: &HeaderMap) -> Result<Option<Token>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
    let known = token.and_then(|token| hub.people().iter().find(|person| person.token == token).cloned());
    known.map(Some).ok_or_else(Refusal::bad_token)
}

fn may_see(repo: &Repo, person: Option<&Token>) -> bool {
    !repo.private || person.is_some_and(|person| person.may_read(repo.kind, &repo.id))
}

/// What is missing and what is private are told apart by nobody from outside: 401 without a token, 404 with one.
pub(crate) fn seen<'a>(repo: Option<&'a Repo>, person: Option<&Token>) -> Result<&'a Repo, Refusal> {
    match repo {
        Some(repo) if may_see(repo, person) => Ok(repo),
        _ if person.is_none() => Err(Refusal::sign_in()),
        _ => Err(Refusal::no_such_repo()),
    }
}

/// The files of a repository: not of a disabled one, and of a gated one for those who were let in. What a gated
/// repository consists of everybody may see.
pub(crate) fn may_read_files(repo: &Repo, person: Option<&Token>) -> Result<(), Refusal> {
    if repo.disabled {
        return Err(Refusal::disabled());
    }
    let let_in =
        |person: &Token| person.belongs_to(namespace(&repo.id)) || repo.granted.contains(&person.user);
    if repo.gated != Gated::No && !person.is_some_and(let_in) {
        return Err(Refusal::gated(repo.kind.singular(), &repo.id, person.is_some()));
    }
    Ok(())
}

/// 401 without a token, 403 with one that may only read or that belongs to somebody else.
pub(crate) fn may_write<'a>(person: Option<&'a Token>, kind: Kind, id: &str) -> Result<&'a Token, Refusal> {
    let person = person.ok_or_else(Refusal::sign_in)?;
    if person.may_write(kind, id) {
        return Ok(person);
    }
    Err(Refusal::forbidden(match person.role {
        Role::Read => "Forbidden: you must use a write token to upload to a repository.",
        _ => "Forbidden: Authorization error.",
    }))
}

/// The same for a repository that is yet to be made, with the Hub's words for it.
pub(crate) fn may_create(person: Option<&Token>, kind: Kind, id: &str) -> Result<Token, Refusal> {
    let person = person.ok_or_else(Refusal::sign_in)?;
    if person.may_write(kind, id) {
        return Ok(person.clone());
    }
    Err(Refusal::forbidden(&match person.role {
        Role::Read => "You don't have the rights to create a repo: use a token with write access.".to_owned(),
        _ => format!(
            "You don't have the rights to create a {} under the namespace \"{}\"",
            kind.singular(),
            namespace(id)
        ),
    }))
}
