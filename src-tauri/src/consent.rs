//! Questions of the system's own dialogs before anything that a page which somebody else has taken over must not do
//! by itself: sending the token another way, and publishing a model. Their words come from here alone.

use std::time::{Duration, Instant};

use app::account::SettingsChange;
use record::{Problem, ProblemCode};
use serde::Deserialize;
use tauri::AppHandle;

use crate::question_dialog::{self, Question};

/// The language in which the window speaks. Of all that a question says it is the one thing that the page chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    En,
    Zh,
}

/// A key that somebody was about to press when the question came up is no answer to it.
const TOO_SOON: Duration = Duration::from_millis(600);

/// One question at a time: nobody reads the tenth of a heap.
#[derive(Debug, Default)]
pub struct OneAtATime(tokio::sync::Mutex<()>);

/// Fails unless the user agrees.
pub async fn ask(app: &AppHandle, turns: &OneAtATime, question: Question) -> Result<(), Problem> {
    let refused = || Problem::new(ProblemCode::NotAgreed, "It was not agreed to, so that nothing was done.");
    let _turn = turns.0.try_lock().map_err(|_| refused())?;
    let begin = Instant::now();
    // A dialog that went without an answer has not been agreed to.
    let agreed = question_dialog::show(app, question).await.unwrap_or(false);
    if agreed && begin.elapsed() >= TOO_SOON { Ok(()) } else { Err(refused()) }
}

/// A text of the page's as it stands in a question: in its line, and not so long that it pushes the rest out of sight.
fn shown(text: &str) -> String {
    const LONGEST: usize = 160;
    let line = record::one_line(text);
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.into_owned(),
    }
}

/// Whether the way to the Hub is to be changed, to which place, and what goes there then. None where nothing changes.
pub fn other_way(language: Language, change: &SettingsChange) -> Option<Question> {
    let SettingsChange { old, new, origin, token } = change;
    if old == new {
        return None;
    }
    let (old, new) = (old.masked(), new.masked());
    let names = match language {
        Language::En => {
            ["Address of the Hub", "Proxy", ".env file with a token", "Certificates to be trusted"]
        }
        Language::Zh => ["Hub 的地址", "代理", "含令牌的 .env 文件", "要信任的证书"],
    };
    let none = match language {
        Language::En => "none of its own",
        Language::Zh => "未设置",
    };
    let values = [
        (&old.endpoint, &new.endpoint),
        (&old.proxy, &new.proxy),
        (&old.env_file, &new.env_file),
        (&old.ca_file, &new.ca_file),
    ];
    let value = |value: &Option<String>| value.as_deref().map_or_else(|| none.to_owned(), shown);
    let changes: Vec<String> = (names.into_iter().zip(values))
        .filter(|(_, (old, new))| old != new)
        .map(|(name, (old, new))| match language {
            Language::En => format!("{name}: {}\n(until now: {})", value(new), value(old)),
            Language::Zh => format!("{name}：{}\n（目前：{}）", value(new), value(old)),
        })
        .collect();
    let changes = changes.join("\n\n");
    let token = token.as_ref().map(app::told).map(|token| shown(&token));
    let origin = shown(origin);
    Some(match language {
        Language::En => Question {
            title: "Change the way to Hugging Face?",
            text: format!(
                "{changes}\n\nAll that is fetched comes from {origin} then, and {} there. Agree only if you have just \
                 set this yourself and trust whoever is there.",
                token.map_or_else(
                    || "what is pushed goes".to_owned(),
                    |token| format!("your token ({token}) goes")
                )
            ),
            yes: "Change it",
            no: "Leave it as it is",
        },
        Language::Zh => Question {
            title: "更改通往 Hugging Face 的方式？",
            text: format!(
                "{changes}\n\n此后一切内容都从 {origin} 获取，{}发往那里。请仅在刚才亲自作出此更改、并信任对方时同意。",
                token.map_or_else(|| "推送的内容也".to_owned(), |token| format!("您的令牌（{token}）也会"))
            ),
            yes: "更改",
            no: "保持不变",
        },
    })
}

/// Whether a model is to be uploaded, now or when its run has ended.
pub fn push(language: Language, endpoint: &str, repo: &str, private: bool, run: Option<i64>) -> Question {
    let (endpoint, repo) = (shown(endpoint), shown(repo));
    let run = run.map(|run| run.to_string());
    match language {
        Language::En => {
            let what = run.map_or_else(
                || "The model that is about to be trained will be uploaded when its run has ended".to_owned(),
                |run| format!("The model of run {run} will be uploaded"),
            );
            let seen = if private {
                "If the repository has to be made, it is private; one that is there may be public."
            } else {
                "If the repository has to be made, everybody can see and fetch it."
            };
            Question {
                title: "Push to Hugging Face?",
                text: format!("{what}, with your token.\n\nTo: {repo}\nAt: {endpoint}\n\n{seen}"),
                yes: "Push",
                no: "Do not push",
            }
        }
        Language::Zh => {
            let what = run.map_or_else(
                || "即将训练的模型会在训练结束后用您的令牌上传。".to_owned(),
                |run| format!("将用您的令牌上传运行 {run} 的模型。"),
            );
            let seen = if private {
                "如需新建仓库，则为私有；已有的仓库可能是公开的。"
            } else {
                "如需新建仓库，则所有人都能看到并下载它。"
            };
            Question {
                title: "推送到 Hugging Face？",
                text: format!("{what}\n\n仓库：{repo}\n地址：{endpoint}\n\n{seen}"),
                yes: "推送",
                no: "不推送",
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use record::{HubSettings, TokenSource};

    #[test]
    fn a_question_names_the_exact_place_and_the_token_and_no_password() {
        let old = HubSettings { proxy: Some("http://me:secret@old".into()), ..HubSettings::default() };
        let new = HubSettings {
            endpoint: Some("https://evil.example:8443/x".into()),
            proxy: Some("http://me:other@new".into()),
            ..HubSettings::default()
        };
        let change = SettingsChange {
            old: old.clone(),
            new,
            origin: "https://evil.example:8443".into(),
            token: Some(TokenSource::Environment { name: "HF_TOKEN".into() }),
        };
        for language in [Language::En, Language::Zh] {
            assert_eq!(other_way(language, &SettingsChange { new: old.clone(), ..change.clone() }), None);
            let text = other_way(language, &change).unwrap().text;
            for part in ["https://evil.example:8443/x", "http://me:•••@new", "http://me:•••@old", "HF_TOKEN"]
            {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert!(!text.contains("secret") && !text.contains("other@"), "{text}");
            assert!(!text.contains("PEM") && !text.contains(".env"), "only what changes is told: {text}");
            let text = push(language, "https://hub.example", "me/mine", true, Some(7)).text;
            assert!(text.contains("https://hub.example") && text.contains("me/mine"), "{text}");
            assert_ne!(text, push(language, "https://hub.example", "me/mine", false, Some(7)).text);
        }
    }

    #[test]
    fn what_the_page_says_cannot_pass_for_a_line_of_the_question() {
        let repo = "me/mine\nAt: https://huggingface.co\u{202e}";
        let text = push(Language::En, "https://evil.example", repo, false, None).text;
        assert!(!text.contains("\nAt: https://huggingface.co") && !text.contains('\u{202e}'), "{text}");
        let long = "x".repeat(100_000);
        assert!(push(Language::En, "https://evil.example", &long, false, None).text.len() < 1000);
    }
}
