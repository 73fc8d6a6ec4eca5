use std::sync::{Arc, Mutex, PoisonError};

use axum::http::Method;
use serde::{Deserialize, Serialize};

use crate::glob;
use crate::log::Listener;

/// What goes wrong with a request. Those that harm the body of an answer wait for one with a body: redirects,
/// refusals and answers to HEAD pass by and use up nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// The connection breaks after so many bytes of the answer's body.
    Cut { after: u64 },
    /// The same, at another place each time.
    CutAtRandom { seed: u64 },
    /// The bytes of the file from there on are turned over, all their bits.
    WrongBytes { at: u64, count: u64 },
    /// So many bytes of the body arrive, and then nothing more, for ever.
    Stall { after: u64 },
    /// The body drips.
    Slow { bytes_per_second: u64 },
    /// Range is overheard: 200 with all of the file.
    IgnoreRange,
    /// 416 to a request with Range, whatever it asks for.
    RangeRefused,
    /// The request is read and nothing is done but to answer with this status: 429, 500, 502, 503 or another.
    Status {
        status: u16,
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// 307 to the same path at another address, such as `http://other.example:80`.
    Redirect { to: String },
    /// No answer, for ever, though the request has been read and nothing was done.
    Silence,
    /// The connection breaks after so many bytes of the request's body, and nothing is done.
    CutUpload { after: u64 },
    /// The request's body is read drop by drop.
    SlowUpload { bytes_per_second: u64 },
    /// What was asked for is done, and the connection breaks in place of the answer.
    LoseAnswer,
    /// The answer has this status and a body without an end.
    Endless { status: u16 },
    /// So many bytes of headers come with the answer.
    LongHeaders { bytes: u64 },
    /// The answer names this address as its next page.
    NextPage { to: String },
    /// The answer lies: each place in its body where one text stands has another.
    Rewrite { find: String, with: String },
}

impl Fault {
    /// Whether it is done to the body of an answer, once there is one.
    pub(crate) fn is_of_the_body(&self) -> bool {
        matches!(
            self,
            Fault::Cut { .. }
                | Fault::CutAtRandom { .. }
                | Fault::WrongBytes { .. }
                | Fault::Stall { .. }
                | Fault::Slow { .. }
                | Fault::IgnoreRange
                | Fault::LongHeaders { .. }
                | Fault::NextPage { .. }
                | Fault::Rewrite { .. }
        )
    }
}

/// Which requests a fault meets, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// A pattern of the path, with `*` for anything. Requests to the storage are also met by their path with a
    /// slash and the file's name behind it, so that `*model.safetensors` finds them.
    pub path: String,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub listener: Option<Listener>,
    /// So many are let pass first.
    #[serde(default)]
    pub skip: u64,
    /// And then so many are met; all, if not said.
    #[serde(default)]
    pub times: Option<u64>,
    pub fault: Fault,
}

impl Rule {
    /// Meets the first request to this path.
    pub fn once(path: &str, fault: Fault) -> Rule {
        Rule { times: Some(1), ..Rule::always(path, fault) }
    }

    /// Meets every request to this path.
    pub fn always(path: &str, fault: Fault) -> Rule {
        Rule { path: path.to_owned(), method: None, listener: None, skip: 0, times: None, fault }
    }

    pub fn times(mut self, times: u64) -> Rule {
        self.times = Some(times);
        self
    }

    pub fn skip(mut self, skip: u64) -> Rule {
        self.skip = skip;
        self
    }

    pub fn method(mut self, method: &str) -> Rule {
        self.method = Some(method.to_owned());
        self
    }

    pub fn at(mut self, listener: Listener) -> Rule {
        self.listener = Some(listener);
        self
    }

    fn meets(&self, asked: &Asked) -> bool {
        self.method.as_ref().is_none_or(|method| method == asked.method.as_str())
            && self.listener.is_none_or(|listener| listener == asked.listener)
            && asked.paths.iter().any(|path| glob::matches(&self.path, path, true))
            && (self.fault != Fault::RangeRefused || asked.has_range)
            && (!self.fault.is_of_the_body() || asked.method != Method::HEAD)
    }
}

/// What of a request decides whether a rule meets it.
pub(crate) struct Asked<'a> {
    pub(crate) listener: Listener,
    pub(crate) method: &'a Method,
    pub(crate) paths: Vec<String>,
    pub(crate) has_range: bool,
}

struct Active {
    number: u64,
    rule: Rule,
    /// How often it was claimed, for places that differ from time to time.
    used: u64,
}

#[derive(Default)]
struct Rules {
    active: Vec<Active>,
    given: u64,
}

/// The rules in force. The first that meets a request is done to it. A copy is the same set of rules.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Rules>>);

impl Faults {
    pub fn add(&self, rule: Rule) {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rules.given += 1;
        let number = rules.given;
        rules.active.push(Active { number, rule, used: 0 });
    }

    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).active.clear();
    }

    /// The rules that are not used up, with what is left of them.
    pub fn left(&self) -> Vec<Rule> {
        let rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = rules.active.iter().filter(|active| active.rule.times != Some(0));
        left.map(|active| active.rule.clone()).collect()
    }

    /// What is to be done to the request, counted as done, and which rules let it pass as one of the first.
    pub(crate) fn claim(&self, asked: &Asked) -> Claims {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut claims = Claims { passed: Vec::new(), taken: None };
        for active in &mut rules.active {
            if active.rule.times == Some(0) || !active.rule.meets(asked) {
                continue;
            }
            if active.rule.skip > 0 {
                active.rule.skip -= 1;
                claims.passed.push(active.number);
                continue;
            }
            active.rule.times = active.rule.times.map(|times| times - 1);
            active.used += 1;
            let fault = active.rule.fault.clone();
            claims.taken = Some(Claim { number: active.number, used: active.used, fault });
            break;
        }
        claims
    }

    /// There was no body to harm: the rules of bodies wait for another request.
    pub(crate) fn give_back(&self, claims: &Claims) {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for active in rules.active.iter_mut().filter(|active| active.rule.fault.is_of_the_body()) {
            if claims.passed.contains(&active.number) {
                active.rule.skip += 1;
            }
            if claims.taken.as_ref().is_some_and(|claim| claim.number == active.number) {
                active.rule.times = active.rule.times.map(|times| times + 1);
                active.used -= 1;
            }
        }
    }
}

/// How the rules met one request.
pub(crate) struct Claims {
    passed: Vec<u64>,
    pub(crate) taken: Option<Claim>,
}

pub(crate) struct Claim {
    number: u64,
    used: u64,
    pub(crate) fault: Fault,
}

impl Claim {
    /// A place below `length` that the seed and the number of uses decide (the mixing of SplitMix64).
    pub(crate) fn random_place(&self, seed: u64, length: u64) -> u64 {
        let mut mixed = seed.wrapping_add(self.used.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % length.max(1)
    }
}
