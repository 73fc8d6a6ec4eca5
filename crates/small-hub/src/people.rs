use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::repos::Kind;

/// What a token may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    Read,
    Write,
    /// Only what is listed.
    FineGrained(Vec<Scope>),
}

/// One line of a fine-grained token's permissions: on what, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// "user", "org", "model" or "dataset".
    pub on: String,
    /// The user, the organization or the repository.
    pub name: String,
    /// As the Hub calls them: "repo.content.read", "repo.write".
    pub permissions: Vec<String>,
}

/// A token with the person whom it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub user: String,
    pub token: String,
    pub role: Role,
    /// Organizations in which the person may write.
    pub orgs: Vec<String>,
}

impl Token {
    pub fn new(user: &str, token: &str, role: Role) -> Token {
        Token { user: user.to_owned(), token: token.to_owned(), role, orgs: Vec::new() }
    }

    pub fn in_org(mut self, org: &str) -> Token {
        self.orgs.push(org.to_owned());
        self
    }

    pub(crate) fn belongs_to(&self, namespace: &str) -> bool {
        self.user == namespace || self.orgs.iter().any(|org| org == namespace)
    }

    pub(crate) fn may_read(&self, kind: Kind, id: &str) -> bool {
        match &self.role {
            Role::Read | Role::Write => self.belongs_to(namespace(id)),
            Role::FineGrained(_) => {
                self.permits(kind, id, "repo.content.read") || self.permits(kind, id, "repo.write")
            }
        }
    }

    pub(crate) fn may_write(&self, kind: Kind, id: &str) -> bool {
        match &self.role {
            Role::Read => false,
            Role::Write => self.belongs_to(namespace(id)),
            Role::FineGrained(_) => self.permits(kind, id, "repo.write"),
        }
    }

    fn permits(&self, kind: Kind, id: &str, permission: &str) -> bool {
        let Role::FineGrained(scopes) = &self.role else { return false };
        scopes.iter().any(|scope| {
            let on_it = match scope.on.as_str() {
                "user" | "org" => scope.name == namespace(id) && self.belongs_to(&scope.name),
                other => other == kind.singular() && scope.name == id,
            };
            on_it && scope.permissions.iter().any(|held| held == permission)
        })
    }

    /// The answer of `GET /api/whoami-v2`, from which `HfApi.whoami` and `login` take name and role.
    pub(crate) fn whoami(&self) -> Value {
        let orgs: Vec<Value> = self.orgs.iter().map(|org| describe_org(org)).collect();
        let mut access = json!({
            "displayName": format!("token of {}", self.user),
            "role": match self.role { Role::Read => "read", Role::Write => "write", Role::FineGrained(_) => "fineGrained" },
            "createdAt": "2026-01-01T00:00:00.000Z",
        });
        if let Role::FineGrained(scopes) = &self.role {
            let scoped: Vec<Value> = scopes
                .iter()
                .map(|scope| {
                    json!({
                        "entity": {"_id": number_of(&scope.name), "type": scope.on, "name": scope.name},
                        "permissions": scope.permissions,
                    })
                })
                .collect();
            access["fineGrained"] = json!({"canReadGatedRepos": true, "global": [], "scoped": scoped});
        }
        json!({
            "type": "user",
            "id": number_of(&self.user),
            "name": self.user,
            "fullname": self.user,
            "email": format!("{}@example.invalid", self.user),
            "emailVerified": true,
            "canPay": false,
            "periodEnd": null,
            "isPro": false,
            "avatarUrl": "/avatars/none.svg",
            "orgs": orgs,
            "auth": {"type": "access_token", "accessToken": access},
        })
    }
}

fn describe_org(org: &str) -> Value {
    json!({
        "type": "org",
        "id": number_of(org),
        "name": org,
        "fullname": org,
        "email": null,
        "canPay": false,
        "periodEnd": null,
        "isEnterprise": false,
        "avatarUrl": "/avatars/none.svg",
        "roleInOrg": "write",
    })
}

/// A name's number as the Hub writes them: 24 hexadecimal digits.
pub(crate) fn number_of(name: &str) -> String {
    crate::git::blob_id(name.as_bytes()).chars().take(24).collect()
}

/// Whose a repository is; those without an owner belong to nobody.
pub(crate) fn namespace(id: &str) -> &str {
    id.split_once('/').map_or("", |(owner, _)| owner)
}
