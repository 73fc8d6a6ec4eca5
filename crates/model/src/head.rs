use mbti::Axis;
use serde_json::{Map, Value, json};

/// What the last layer's outputs mean.
///
/// One axis alone is two logits, one a letter, as the tutorial has it; several axes at once are
/// one logit an axis, positive for the second letter of the axis in the alphabet, which is what
/// Transformers calls multi_label_classification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub axes: Vec<Axis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemType {
    SingleLabel,
    MultiLabel,
}

impl ProblemType {
    fn name(self) -> &'static str {
        match self {
            ProblemType::SingleLabel => "single_label_classification",
            ProblemType::MultiLabel => "multi_label_classification",
        }
    }
}

impl Head {
    pub fn problem_type(&self) -> ProblemType {
        if self.axes.len() == 1 { ProblemType::SingleLabel } else { ProblemType::MultiLabel }
    }

    /// Number of logits.
    pub fn outputs(&self) -> usize {
        match self.problem_type() {
            ProblemType::SingleLabel => 2,
            ProblemType::MultiLabel => self.axes.len(),
        }
    }

    /// The log odds of class 1 on each axis, from the logits of one text.
    pub fn log_odds(&self, logits: &[f32]) -> Vec<f64> {
        match (self.problem_type(), logits) {
            // The softmax of two logits is the sigmoid of their difference.
            (ProblemType::SingleLabel, [first, second]) => vec![f64::from(*second) - f64::from(*first)],
            _ => logits.iter().map(|&logit| f64::from(logit)).collect(),
        }
    }

    /// The letter that each output stands for.
    fn labels(&self) -> Vec<String> {
        match self.problem_type() {
            ProblemType::SingleLabel => {
                self.axes.iter().flat_map(|axis| axis.letters()).map(|l| l.to_string()).collect()
            }
            ProblemType::MultiLabel => self.axes.iter().map(|axis| axis.letters()[1].to_string()).collect(),
        }
    }

    /// Writes the head into a config.json, under the names that Transformers reads.
    pub(crate) fn write(&self, config: &mut Map<String, Value>) {
        let labels = self.labels();
        let by_id: Map<String, Value> =
            labels.iter().enumerate().map(|(id, label)| (id.to_string(), json!(label))).collect();
        let by_label: Map<String, Value> =
            labels.iter().enumerate().map(|(id, label)| (label.clone(), json!(id))).collect();
        config.insert("id2label".into(), Value::Object(by_id));
        config.insert("label2id".into(), Value::Object(by_label));
        config.insert("problem_type".into(), json!(self.problem_type().name()));
    }

    /// Reads the head out of a config.json; `None` where it has none of ours.
    pub(crate) fn read(config: &Map<String, Value>) -> Option<Head> {
        let by_id = config.get("id2label")?.as_object()?;
        let labels: Vec<&str> =
            (0..by_id.len()).map(|id| by_id.get(&id.to_string())?.as_str()).collect::<Option<_>>()?;
        let axis_of = |label: &str| {
            Axis::ALL.into_iter().find(|axis| axis.letters().iter().any(|letter| letter.to_string() == label))
        };
        let axes: Vec<Axis> = match config.get("problem_type")?.as_str()? {
            "single_label_classification" => vec![axis_of(labels.first()?)?],
            "multi_label_classification" => {
                labels.iter().map(|label| axis_of(label)).collect::<Option<_>>()?
            }
            _ => return None,
        };
        let distinct: std::collections::BTreeSet<Axis> = axes.iter().copied().collect();
        let head = Head { axes };
        let is_ours = head.labels() == labels && !distinct.is_empty() && distinct.len() == head.axes.len();
        is_ours.then_some(head)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_head_reads_back_from_the_config_that_it_wrote() {
        for axes in [
            Axis::ALL.to_vec(),
            vec![Axis::JudgingPerceiving],
            vec![Axis::FeelingThinking, Axis::JudgingPerceiving],
        ] {
            let head = Head { axes };
            let mut config = Map::new();
            head.write(&mut config);
            assert_eq!(Head::read(&config), Some(head));
        }
    }

    #[test]
    fn a_head_for_other_labels_is_not_taken_for_ours() {
        let config = json!({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "problem_type": "single_label_classification"});
        assert_eq!(Head::read(config.as_object().unwrap()), None);
        assert_eq!(Head::read(&Map::new()), None);
        for labels in [json!({}), json!({"0": "P", "1": "P"})] {
            let config = json!({"id2label": labels, "problem_type": "multi_label_classification"});
            assert_eq!(Head::read(config.as_object().unwrap()), None);
        }
    }

    #[test]
    fn two_logits_give_the_probability_of_the_second_letter() {
        let probabilities = |head: &Head, logits: &[f32]| -> Vec<f64> {
            head.log_odds(logits).into_iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect()
        };
        let head = Head { axes: vec![Axis::JudgingPerceiving] };
        assert!((probabilities(&head, &[1.0, 3.0])[0] - 1.0 / (1.0 + (-2f64).exp())).abs() < 1e-12);
        let all = Head { axes: Axis::ALL.to_vec() };
        assert_eq!(probabilities(&all, &[0.0, 100.0, -100.0, 0.0])[..1], [0.5]);
        assert_eq!(all.outputs(), 4);
    }
}
