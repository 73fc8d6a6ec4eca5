#![allow(clippy::unwrap_used, dead_code)]
//! A small Hub and a way to it, with a cache of its own.

use std::path::{Path, PathBuf};

use hub::access::{Network, Token, connect};
use record::{HubSettings, TokenSource};
use small_hub::{Kind, Options, Role, SmallHub, Write};

pub const TOKEN: &str = "hf_aVerySecretTokenOfAlice";

pub struct Place {
    pub hub: SmallHub,
    pub folder: tempfile::TempDir,
}

/// A Hub that knows Alice, whose token may do `role`; large files are those above 100 kB, in parts of 1 MiB.
pub fn place(role: Role) -> Place {
    let alice = small_hub::Token::new("alice", TOKEN, role).in_org("us");
    let options = Options { large_from: 100_000, part_size: 1 << 20, page_size: 3, ..Options::default() };
    let hub = SmallHub::start(options.token(alice)).unwrap();
    Place { hub, folder: tempfile::tempdir().unwrap() }
}

impl Place {
    /// `HF_HUB_CACHE`, which is Python's and the Hub's own.
    pub fn shared_cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// What is kept of this Hub, which is not the one at huggingface.co.
    pub fn cache(&self) -> PathBuf {
        self.stranger().cache
    }

    pub fn notes(&self) -> PathBuf {
        self.folder.path().join("notes")
    }

    pub fn stranger(&self) -> Network {
        self.way(None, &[])
    }

    pub fn alice(&self) -> Network {
        self.way(Some(TOKEN), &[])
    }

    pub fn way(&self, token: Option<&str>, more: &[(&str, &str)]) -> Network {
        self.way_to(self.hub.url(), token, more)
    }

    /// The same to another address.
    pub fn way_to(&self, url: &str, token: Option<&str>, more: &[(&str, &str)]) -> Network {
        let cache = self.shared_cache().display().to_string();
        let variables = |name: &str| match name {
            "HF_ENDPOINT" => Some(url.to_owned()),
            "HF_HUB_CACHE" => Some(cache.clone()),
            "MBTI_HUB_PAUSE_MS" => Some("1".to_owned()),
            "HF_HUB_DOWNLOAD_TIMEOUT" => Some("1".to_owned()),
            _ => more.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
        };
        let token = token.map(|token| (Token::parse(token).unwrap(), TokenSource::Keyring));
        connect(&HubSettings::default(), &variables, token).unwrap()
    }

    pub fn with_model(self, id: &str, files: &[(&str, Vec<u8>)]) -> Place {
        self.with(Kind::Model, id, files)
    }

    pub fn with(self, kind: Kind, id: &str, files: &[(&str, Vec<u8>)]) -> Place {
        self.hub.create(kind, id).unwrap();
        let writes: Vec<Write> =
            files.iter().map(|(path, bytes)| Write::bytes(path, bytes.clone())).collect();
        self.hub.commit(kind, id, "main", "Files", &writes).unwrap();
        self
    }
}

/// Bytes that look random and are the same each time.
pub fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    (0..count).map(|_| (numbers.next() >> 24) as u8).collect()
}

/// SplitMix64.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A small model, whole in its files.
pub fn model(weights: Vec<u8>) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("config.json", b"{\"model_type\": \"bert\"}".to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
        ("README.md", b"---\nlicense: mit\n---\n# A model\n".to_vec()),
        ("model.safetensors", weights.clone()),
        ("pytorch_model.bin", weights),
    ]
}

pub fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}
