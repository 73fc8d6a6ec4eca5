//! The model card of a run: what it learned from, how well it does against saying the commoner letter, and what it must
//! not be used for. In English, as the Hub's pages are, with the limits in Chinese as well.

use std::fmt::Write;

use record::{
    Assessment, AxisAssessment, Level, Metric, Notice, Origin, RefusedTemperature, Run, SplitMethod,
    Trainable, WhyRefused,
};

use super::foreign::{Place, foreign};

/// What a card is written from.
#[derive(Debug, Clone, Copy)]
pub struct CardFacts<'a> {
    /// `user/name` of the repository that the card is for.
    pub repo: &'a str,
    pub run: &'a Run,
    /// Where the base model and the texts are from, where that is known.
    pub base: Option<&'a Origin>,
    pub data: Option<&'a Origin>,
    /// What was told of the run, such as that its split leaks.
    pub notices: &'a [Notice],
    /// The run's settings as TOML, which repeat it.
    pub settings: &'a str,
    pub version: &'a str,
}

/// README.md of a model that a run has made.
pub fn model_card(facts: &CardFacts) -> String {
    let mut card = String::new();
    // Writing to a string cannot fail.
    write_card(&mut card, facts).ok();
    card
}

fn write_card(card: &mut String, facts: &CardFacts) -> std::fmt::Result {
    let CardFacts { repo, run, base, data, .. } = facts;
    head(card, facts)?;
    let title = repo.rsplit('/').next().unwrap_or(repo);
    let axes: Vec<String> = run.config.axes.iter().map(ToString::to_string).collect();
    writeln!(card, "# {}\n", foreign(title, Place::Markdown))?;
    let from = base
        .map_or_else(|| format!("`{}`", foreign(&run.config.model, Place::Code)), |base| linked(base, ""));
    writeln!(
        card,
        "{from}, fine-tuned {} to guess from a text which letter of {} its author gives for themselves in the \
         Myers-Briggs Type Indicator. Made with MBTI Tuner {}.\n",
        match run.config.trainable {
            Trainable::All => "in full",
            Trainable::Lora => "by LoRA and merged",
            Trainable::Head => "in its head alone",
        },
        axes.join(", "),
        facts.version,
    )?;
    limits(card)?;
    writeln!(card, "## Data\n")?;
    match data {
        Some(data) => {
            let licence = data.licence.as_deref().map_or("no licence is named".to_owned(), |name| {
                format!("licence: {}", foreign(name, Place::Markdown))
            });
            let commit = foreign(&data.commit, Place::Code);
            writeln!(card, "{}, commit `{commit}` ({licence}).", linked(data, "datasets/"))?;
        }
        None if run.made_up => writeln!(
            card,
            "Texts that a program has made up. **This model has learned nothing about people.**"
        )?,
        None => writeln!(
            card,
            "A data set named \"{}\" that is not on the Hub.",
            foreign(&run.config.data, Place::Markdown)
        )?,
    }
    split(card, facts)?;
    results(card, facts)?;
    let settings = record::printable(facts.settings.trim()).replace("```", "'''");
    writeln!(card, "## Settings\n\n```toml\n{settings}\n```\n")?;
    let name = serde_json::Value::from(*repo).to_string().replace('`', "'");
    writeln!(
        card,
        "## Use\n\n```python\nfrom transformers import pipeline\n\nclassify = pipeline(\"text-classification\", {name}, top_k=None{})\nprint(classify(\"I would rather stay at home with a book.\"))\n```",
        if run.config.axes.len() > 1 { ", function_to_apply=\"sigmoid\"" } else { "" }
    )?;
    Ok(())
}

/// The YAML by which the Hub sorts models.
fn head(card: &mut String, facts: &CardFacts) -> std::fmt::Result {
    writeln!(card, "---\npipeline_tag: text-classification\nlibrary_name: transformers")?;
    if let Some(base) = facts.base {
        // The Hub would take the name for that of one of its own.
        if base.endpoint.is_none() {
            writeln!(card, "base_model: {}", foreign(&base.repo, Place::Yaml))?;
        }
        if let Some(licence) = base.licence.as_deref().filter(|licence| is_word(licence)) {
            writeln!(card, "license: {}", foreign(licence, Place::Yaml))?;
        }
    }
    if let Some(data) = facts.data.filter(|data| data.endpoint.is_none()) {
        writeln!(card, "datasets:\n- {}", foreign(&data.repo, Place::Yaml))?;
    }
    writeln!(card, "tags:\n- mbti\n- personality\n- mbti-tuner")?;
    writeln!(card, "widget:\n- text: I would rather stay at home with a book than go to a party.\n---\n")
}

/// Whether a licence is an identifier of the Hub's, which knows no others.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// A repository with its page, where its name is one; of one at another Hub, which not everybody can go to, the address
/// of that.
fn linked(origin: &Origin, folder: &str) -> String {
    let shown = foreign(&origin.repo, Place::Markdown);
    if let Some(endpoint) = &origin.endpoint {
        return format!("{shown} from `{}`", foreign(endpoint, Place::Code));
    }
    match record::is_repo_name(&origin.repo) {
        true => format!("[{shown}](https://huggingface.co/{folder}{})", origin.repo),
        false => shown,
    }
}

fn limits(card: &mut String) -> std::fmt::Result {
    writeln!(
        card,
        "## Intended use and limits\n\n\
         For curiosity, teaching and research on what texts tell. MBTI is a questionnaire about preferences and no \
         diagnosis; people who take it again often get another type. What this model says is a guess about a text, and \
         no fact about its author. **Do not use it to decide anything about people**: not in hiring, admission, \
         lending, insurance, policing or health, and not to profile anybody without their consent.\n\n\
         本模型只对文本作猜测，供学习、研究与娱乐之用。MBTI 不是诊断。**请勿用它作出任何关于人的决定**（如招聘、录取、\
         信贷、保险、执法、医疗），也不要在未经同意的情况下给任何人画像。\n"
    )
}

fn split(card: &mut String, facts: &CardFacts) -> std::fmt::Result {
    let Some(split) = &facts.run.split else { return writeln!(card) };
    let authors = |count: Option<i64>| count.map(|count| format!(" by {count} authors")).unwrap_or_default();
    writeln!(
        card,
        "\n{} texts{} were learned from, {} texts{} judged with. {}",
        split.train_examples,
        authors(split.train_authors),
        split.valid_examples,
        authors(split.valid_authors),
        match split.method {
            SplitMethod::ByAuthor => "They were split by author: nobody stands on both sides.".to_owned(),
            SplitMethod::ByText if split.shared_authors > 0 => format!(
                "They were split by text, and {} authors stand on both sides, so that the figures below are in part \
                 of recognising people.",
                split.shared_authors
            ),
            SplitMethod::ByText => "They were split by text.".to_owned(),
            SplitMethod::Given if split.shared_authors > 0 => format!(
                "The data set to judge with was given; {} authors stand on both sides.",
                split.shared_authors
            ),
            SplitMethod::Given =>
                "The data set to judge with was given; no author stands on both sides.".to_owned(),
        }
    )?;
    let leak = facts.notices.iter().find(|notice| notice.problem.code == record::ProblemCode::SplitLeaks);
    match leak {
        Some(leak) => {
            let get = |name: &str| {
                foreign(leak.problem.params.get(name).map_or("0", String::as_str), Place::Markdown)
            };
            writeln!(
                card,
                "\n**Leak meter: {} % of the texts judged with can be known in part without having learned anything \
                 about types** ({} by authors that were learned from, {} duplicates, {} that name their own type).\n",
                get("share"),
                get("authors"),
                get("duplicates"),
                get("named"),
            )
        }
        None => {
            writeln!(card, "\nThe leak meter has told of nothing (it speaks from 5 % of the texts on).\n")
        }
    }
}

fn results(card: &mut String, facts: &CardFacts) -> std::fmt::Result {
    let Some(assessment) = &facts.run.assessment else { return Ok(()) };
    writeln!(
        card,
        "## Results\n\nOn the texts judged with, 95 % intervals by bootstrap in brackets. *Majority* is what always \
         answering the commoner letter reaches; *words* is a bag of words that has learned from the same texts.\n"
    )?;
    let words = facts.run.baseline.as_ref().map(|baseline| &baseline.assessment);
    let by_author =
        assessment.by_author.as_ref().map(|level| (level, words.and_then(|words| words.by_author.as_ref())));
    for (title, level, words) in
        std::iter::once(("text", &assessment.by_text, words.map(|words| &words.by_text)))
            .chain(by_author.map(|(level, words)| ("author", level, words)))
    {
        table(card, title, level, words)?;
    }
    let told = assessment.by_author.as_ref().unwrap_or(&assessment.by_text);
    let better = told.axes.iter().filter(|(_, axis)| beats_chance(axis)).count();
    writeln!(
        card,
        "{}\n",
        match better {
            0 => "**On no axis is the balanced accuracy surely above chance: this model can tell nothing.**"
                .to_owned(),
            count if count == told.axes.len() =>
                "On every axis the balanced accuracy is surely above chance.".to_owned(),
            count => format!(
                "On {count} of {} axes the balanced accuracy is surely above chance.",
                told.axes.len()
            ),
        }
    )?;
    temperatures(card, assessment)?;
    sets(card, assessment)
}

/// By what the logits are divided, which the weights do not have in them.
fn temperatures(card: &mut String, assessment: &Assessment) -> std::fmt::Result {
    if assessment.calibration.is_empty() {
        return Ok(());
    }
    writeln!(
        card,
        "Temperatures, fitted on one half of the texts judged with, by which MBTI Tuner divides the logits:\n"
    )?;
    for (axis, found) in &assessment.calibration {
        match found.refused {
            None => writeln!(card, "- {axis}: {:.2}", found.temperature)?,
            Some(RefusedTemperature { temperature, why }) => writeln!(
                card,
                "- {axis}: none. {temperature:.2} was fitted and refused: {}.",
                match why {
                    WhyRefused::NothingTold => "the logits tell the letters apart no better than chance",
                    WhyRefused::OutOfRange => "it is not between 0.1 and 10",
                    WhyRefused::NoBetter => "it does not lower the log loss by more than the error of that",
                }
            )?,
        }
    }
    writeln!(card)
}

/// What sets of answers cover, where that is promised.
fn sets(card: &mut String, assessment: &Assessment) -> std::fmt::Result {
    let Some(sets) = &assessment.sets else { return Ok(()) };
    let units = if assessment.by_author.is_some() { "authors" } else { "texts" };
    let promise = 100.0 * sets.coverage;
    if sets.axes.is_empty() {
        return writeln!(
            card,
            "No sets of answers with {promise:.0} % coverage are promised: {} {units} to calibrate on are too few.\n",
            sets.calibration_units
        );
    }
    writeln!(
        card,
        "Sets of answers with a promised coverage of {promise:.0} % (split-conformal by author, calibrated on {} \
         {units}), measured on {} others:\n\n| set of | coverage | mean size |\n| --- | --- | --- |",
        sets.calibration_units, sets.judged_units
    )?;
    let of_axes = sets.axes.iter().map(|(axis, set)| (axis.name(), set));
    for (name, set) in of_axes.chain(sets.types.iter().map(|set| ("type", set))) {
        let show = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
        let interval = set.coverage.interval.map(|[low, high]| format!(" [{low:.3}, {high:.3}]"));
        let coverage = show(set.coverage.value) + &interval.unwrap_or_default();
        writeln!(card, "| {name} | {coverage} | {} |", show(set.mean_size))?;
    }
    writeln!(card)
}

/// Whether the whole interval of the balanced accuracy lies above one half.
fn beats_chance(axis: &AxisAssessment) -> bool {
    axis.intervals.get(&Metric::BalancedAccuracy).is_some_and(|[low, _]| *low > 0.5)
}

fn table(card: &mut String, by: &str, level: &Level, words: Option<&Level>) -> std::fmt::Result {
    let show = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
    writeln!(card, "By {by} ({} of them):\n", level.units)?;
    writeln!(
        card,
        "| axis | accuracy | majority | balanced accuracy | words | F1 | MCC | ROC AUC |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    )?;
    for (axis, found) in &level.axes {
        let with = |metric: Metric| {
            let interval = found.intervals.get(&metric).map(|[low, high]| format!(" [{low:.3}, {high:.3}]"));
            show(found.metrics.get(metric)) + &interval.unwrap_or_default()
        };
        let words = words.and_then(|words| words.axes.get(axis)?.metrics.balanced_accuracy);
        writeln!(
            card,
            "| {axis} | {} | {} | {} | {} | {} | {} | {} |",
            with(Metric::Accuracy),
            show(found.metrics.majority_accuracy),
            with(Metric::BalancedAccuracy),
            show(words),
            with(Metric::F1),
            with(Metric::Mcc),
            with(Metric::RocAuc),
        )?;
    }
    writeln!(card)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn run(more: Value) -> Run {
        let mut run = json!({
            "id": 1, "status": "finished", "config": { "data": "my [posts]|<b>", "model": "m", "axes": ["J-P"] },
            "made_up": false, "created_at": "", "axes": {}, "stop_requested": false, "pause_requested": false,
            "paused": false, "origins": {},
        });
        run.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(run).unwrap()
    }

    fn judged(low: f64, high: f64) -> Value {
        let axis = json!({
            "metrics": { "accuracy": 0.61, "balanced_accuracy": 0.5, "majority_accuracy": 0.62 },
            "intervals": { "balanced_accuracy": [low, high] },
        });
        let level = json!({ "units": 40, "axes": { "J-P": axis }, "exact_match": {}, "right_letters": {} });
        json!({ "assessment": { "step": 9, "by_text": level, "calibration": {} } })
    }

    fn card(run: &Run, data: Option<&Origin>, notices: &[Notice]) -> String {
        model_card(&CardFacts {
            repo: "me/made",
            run,
            base: None,
            data,
            notices,
            settings: "seed = 0",
            version: "1.0",
        })
    }

    #[test]
    fn a_card_says_whether_anything_can_be_told_and_beside_it_what_always_reaches_that() {
        let text = card(&run(judged(0.45, 0.55)), None, &[]);
        assert!(text.contains("this model can tell nothing"), "{text}");
        assert!(text.contains("| J-P | 0.610 | 0.620 | 0.500 [0.450, 0.550] | – |"), "{text}");
        let text = card(&run(judged(0.51, 0.6)), None, &[]);
        assert!(text.contains("On every axis the balanced accuracy is surely above chance"), "{text}");
        assert!(text.contains("no diagnosis") && text.contains("请勿"), "{text}");
    }

    #[test]
    fn a_card_says_which_temperature_was_refused_and_what_sets_of_answers_cover() {
        let level = json!({ "units": 40, "axes": {}, "exact_match": {}, "right_letters": {} });
        let calibration = json!({
            "temperature": 1.0, "refused": { "temperature": 0.12, "why": "nothing_told" }, "fitted_texts": 20,
            "judged_texts": 20, "band": { "logits": [], "lower": [], "upper": [] },
        });
        let set = json!({ "threshold": 1.0, "coverage": { "value": 0.91, "interval": [0.85, 0.96] }, "mean_size": 1.6 });
        let sets = json!({
            "coverage": 0.9, "calibration_units": 20, "judged_units": 20, "least_units": 11, "axes": { "J-P": set },
        });
        let card_of = |sets: &Value| {
            let calibration = json!({ "J-P": calibration });
            let assessment = json!({ "step": 9, "by_text": level, "calibration": calibration, "sets": sets });
            card(&run(json!({ "assessment": assessment })), None, &[])
        };
        let text = card_of(&sets);
        assert!(text.contains("- J-P: none. 0.12 was fitted and refused: the logits tell"), "{text}");
        assert!(text.contains("| J-P | 0.910 [0.850, 0.960] | 1.600 |"), "{text}");
        let mut few = sets.clone();
        few["axes"] = json!({});
        assert!(card_of(&few).contains("20 texts to calibrate on are too few"), "{}", card_of(&few));
    }

    #[test]
    fn the_head_is_yaml_and_what_a_user_has_named_is_no_markdown() {
        let text = card(&run(json!({})), None, &[]);
        let (_, rest) = text.split_once("---\n").unwrap();
        let (head, body) = rest.split_once("---\n").unwrap();
        assert!(head.lines().all(|line| line.starts_with("- ") || line.contains(':')), "{head}");
        assert!(!head.contains("base_model") && !head.contains("license"), "{head}");
        assert!(body.contains("\"my \\[posts\\]\\|\\<b\\>\" that is not on the Hub"), "{body}");
        let made_up = card(&run(json!({ "made_up": true })), None, &[]);
        assert!(made_up.contains("has learned nothing about people"), "{made_up}");
        let origin =
            Origin { endpoint: None, repo: "them/texts".into(), commit: "c0ffee".into(), licence: None };
        let text = card(&run(json!({})), Some(&origin), &[]);
        assert!(text.contains("datasets:\n- them/texts") && text.contains("no licence is named"), "{text}");
        assert!(text.contains("](https://huggingface.co/datasets/them/texts)"), "{text}");
    }

    #[test]
    fn what_is_from_another_hub_is_said_to_be_from_there_and_not_from_hugging_face() {
        let endpoint = Some("http://127.0.0.1:9101".to_owned());
        let origin = Origin {
            endpoint,
            repo: "them/own".into(),
            commit: "c0ffee".into(),
            licence: Some("mit".into()),
        };
        let text = model_card(&CardFacts {
            repo: "me/made",
            run: &run(json!({})),
            base: Some(&origin),
            data: Some(&origin),
            notices: &[],
            settings: "seed = 0",
            version: "1.0",
        });
        assert_eq!(text.matches("them/own from `http://127.0.0.1:9101`").count(), 2, "{text}");
        for claim in ["base_model", "datasets:", "huggingface.co"] {
            assert!(!text.contains(claim), "{claim}: {text}");
        }
    }

    #[test]
    fn whatever_strangers_call_their_things_the_card_stays_the_users_own() {
        const EVIL: &str = "mit)\n---\n# Buy [this](https://evil.example) ![x](https://evil.example/x.png) <img src=x>\u{1b}[2J\u{202e}`";
        let evil = Origin {
            endpoint: Some(EVIL.into()),
            repo: EVIL.into(),
            commit: EVIL.into(),
            licence: Some(EVIL.into()),
        };
        let run = run(json!({ "config": { "data": EVIL, "model": EVIL, "axes": ["J-P"] } }));
        let plain = Origin { endpoint: None, ..evil.clone() };
        for data in [None, Some(&evil), Some(&plain)] {
            for base in [None, Some(&evil), Some(&plain)] {
                let facts = CardFacts {
                    repo: "me/made",
                    run: &run,
                    base,
                    data,
                    notices: &[],
                    settings: "seed = 0",
                    version: "1.0",
                };
                let text = model_card(&facts);
                // What stands between two backticks is shown as it is; one with a backslash is none of them.
                // In the head a text is quoted, and no Markdown.
                let body = text.splitn(3, "---\n").nth(2).unwrap();
                let bare = body.replace("\\`", "").replace("\\<", "");
                let outside = |line: &str| line.split('`').step_by(2).collect::<String>();
                let markup = bare.lines().map(outside).collect::<Vec<_>>().join("\n");
                assert!(!markup.contains("](https://evil") && !markup.contains("<img"), "{text}");
                let is_paired =
                    |line: &str| line.starts_with("```") || line.matches('`').count().is_multiple_of(2);
                assert!(bare.lines().all(is_paired), "{text}");
                assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
                // The head ends where it ends, and there is one title.
                assert_eq!(text.lines().filter(|line| *line == "---").count(), 2, "{text}");
                let titles: Vec<&str> = text.lines().filter(|line| line.starts_with("# ")).collect();
                assert_eq!(titles, ["# made"]);
                let head = text.split("---\n").nth(1).unwrap();
                assert!(!head.contains("license"), "what is no identifier is none: {head}");
            }
        }
    }

    #[test]
    fn a_leaking_split_is_told_with_its_share() {
        let split = json!({ "method": "by_text", "seed": 0, "train_examples": 80, "valid_examples": 20,
            "train_authors": 9, "valid_authors": 8, "shared_authors": 8 });
        let problem =
            record::Problem::new(record::ProblemCode::SplitLeaks, "").with("share", 93).with("authors", 18);
        let notice = Notice { step: 0, problem };
        let text = card(&run(json!({ "split": split })), None, &[notice]);
        assert!(text.contains("8 authors stand on both sides") && text.contains("93 %"), "{text}");
        let quiet = card(&run(json!({ "split": split })), None, &[]);
        assert!(quiet.contains("has told of nothing"), "{quiet}");
    }
}
