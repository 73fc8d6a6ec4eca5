//! Sending requests and reading small answers, within limits of time and memory: nothing that a server sends, or fails
//! to send, costs more.

use std::time::{Duration, Instant};

use reqwest::{
    Method, RequestBuilder, Response, Url,
    header::{HeaderMap, LOCATION},
};
use serde::de::DeserializeOwned;

use super::{Network, answers::passes, limits::bytes, waits::waits};
use crate::error::{Error, Result};

/// Redirects in a row; the Hub needs two.
const REDIRECTS: usize = 8;
/// Attempts at one request that fails for reasons that pass.
const ATTEMPTS: u32 = 5;

/// What of an answer is worked with.
pub(crate) struct Small {
    pub envelope: Envelope,
    pub body: Vec<u8>,
}

/// What is known of an answer besides what it says.
pub(crate) struct Envelope {
    /// Where it came from, after all redirects.
    pub url: Url,
    pub headers: HeaderMap,
}

impl Network {
    /// Sends a request once and follows its redirects. The token goes along as long as they have not left the endpoint:
    /// what somebody else names as an address there gets none. Nothing but `GET` is sent to another host, and nothing
    /// from https to http.
    pub(crate) async fn send_once(
        &self,
        method: &Method,
        url: &Url,
        shape: &(dyn Fn(RequestBuilder) -> RequestBuilder + Sync),
    ) -> Result<Response> {
        let mut url = url.clone();
        let mut never_left = true;
        for _ in 0..REDIRECTS {
            never_left &= self.is_own(&url);
            let request = shape(self.request_with(method.clone(), url.clone(), never_left));
            let answer = request.send().await.map_err(|error| self.unreachable(&url, &error))?;
            let follows = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let Some(next) = answer.headers().get(LOCATION).filter(|_| follows) else { return Ok(answer) };
            let next = next.to_str().ok().and_then(|next| url.join(next).ok());
            let bad = |reason: &str| Error::BadAnswer { host: self.host_in(&url), reason: reason.to_owned() };
            let next = next
                .filter(|next| matches!(next.scheme(), "http" | "https"))
                .ok_or_else(|| bad("a redirect that leads nowhere"))?;
            if url.scheme() == "https" && next.scheme() == "http" {
                return Err(bad("a redirect away from https"));
            }
            if *method != Method::GET && next.origin() != url.origin() {
                return Err(bad("a redirect to another host for what was sent to this one"));
            }
            url = next;
        }
        Err(Error::BadAnswer {
            host: self.host_in(&url),
            reason: "more redirects than there can be".to_owned(),
        })
    }

    /// Sends a request, again where it fails for reasons that pass, and gives a small answer as a whole; `repo` is what
    /// it is about and `what` is what it would tell, for the error's sake.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: Url,
        repo: &str,
        (limit, what): (usize, &str),
        shape: impl Fn(RequestBuilder) -> RequestBuilder + Sync,
    ) -> Result<Small> {
        self.online(repo)?;
        let mut attempt = 0;
        let mut waited = Duration::ZERO;
        loop {
            attempt += 1;
            let once = async {
                let answer = self.send_once(&method, &url, &shape).await?;
                match answer.status().is_success() {
                    true => self.read(answer, limit, what).await,
                    false => Err(self.refused(&method, answer, repo).await),
                }
            };
            let error = match self.within(self.limits.answer, once).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = self.wait_after(&error, attempt);
            waited += wait;
            if attempt >= ATTEMPTS || !passes(&error) || waited > self.limits.waiting {
                return Err(error);
            }
            waits(&error, wait);
            tokio::time::sleep(wait).await;
        }
    }

    /// The same for an answer in JSON.
    pub(crate) async fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        repo: &str,
        (limit, what): (usize, &str),
        shape: impl Fn(RequestBuilder) -> RequestBuilder + Sync,
    ) -> Result<(T, Envelope)> {
        let host = self.host_in(&url);
        let Small { envelope, body } = self.send(method, url, repo, (limit, what), shape).await?;
        match serde_json::from_slice(&body) {
            Ok(found) => Ok((found, envelope)),
            Err(_) => Err(Error::BadAnswer { host, reason: format!("it does not tell {what}") }),
        }
    }

    /// Reads an answer as a whole, unless it is larger than `limit`; what is past that is not even received. Should the
    /// token have been sent back in it, it is there no more.
    pub(crate) async fn read(&self, mut answer: Response, limit: usize, what: &str) -> Result<Small> {
        let (url, headers) = (answer.url().clone(), answer.headers().clone());
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.unreachable(&url, &error))? {
            if piece.len() > limit - body.len() {
                let reason = format!("it sends more than {limit} bytes to tell {what}");
                return Err(Error::BadAnswer { host: self.host_in(&url), reason });
            }
            body.extend_from_slice(&piece);
        }
        Ok(Small { envelope: Envelope { url, headers }, body: self.without_token_in_json(body) })
    }

    /// The beginning of an answer that refuses something, of which a cut or slow end is no loss.
    pub(super) async fn read_refusal(&self, mut answer: Response) -> Vec<u8> {
        let mut body = Vec::new();
        let until = Instant::now() + self.limits.answer;
        while body.len() < bytes::REFUSAL {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(Ok(Some(piece))) = tokio::time::timeout(left, answer.chunk()).await else { break };
            body.extend_from_slice(&piece[..piece.len().min(bytes::REFUSAL - body.len())]);
        }
        body
    }

    /// A question that takes several requests, within its limit of time.
    pub(crate) async fn question<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.within(self.limits.question, work).await
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let reason = format!("it has not answered as a whole within {} seconds", limit.as_secs());
            Err(Error::NoNetwork { host: self.host(), reason })
        })
    }

    /// How long to wait after an error that passes: what the Hub asks for, else ever longer.
    pub(crate) fn wait_after(&self, error: &Error, attempt: u32) -> Duration {
        match error {
            Error::RateLimited { seconds } => Duration::from_secs(*seconds),
            _ => self.pause * 2u32.pow(attempt.saturating_sub(1).min(6)),
        }
    }
}
