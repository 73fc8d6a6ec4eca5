use std::{fmt, str::FromStr};

use ts_rs::TS;

use crate::text::as_text;

/// How much the two letters of an axis count in the loss. As text: `balanced`, `none`, or two
/// numbers such as `0.6,0.4`, for the letter that comes first in the alphabet and for the other.
#[derive(Debug, Clone, Copy, PartialEq, Default, TS)]
#[ts(export, type = "string")]
pub enum ClassWeighting {
    /// Both letters count the same in all, however many texts have them.
    #[default]
    Balanced,
    /// Every text counts 1.
    None,
    /// These weights, on every axis that is learned.
    Given([f64; 2]),
}

impl fmt::Display for ClassWeighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClassWeighting::Balanced => f.write_str("balanced"),
            ClassWeighting::None => f.write_str("none"),
            ClassWeighting::Given([first, second]) => write!(f, "{first},{second}"),
        }
    }
}

impl FromStr for ClassWeighting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "balanced" => return Ok(ClassWeighting::Balanced),
            "none" => return Ok(ClassWeighting::None),
            _ => {}
        }
        let numbers: Vec<Option<f64>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
        match numbers[..] {
            [Some(first), Some(second)] if is_weight(first) && is_weight(second) => {
                Ok(ClassWeighting::Given([first, second]))
            }
            _ => Err(format!(
                "\"{text}\" are no class weights; allowed are balanced, none, or two numbers above 0 such as 0.6,0.4"
            )),
        }
    }
}

fn is_weight(number: f64) -> bool {
    number > 0.0 && number <= 1e6
}

as_text!(ClassWeighting);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn class_weights_read_back_from_their_own_text_and_others_are_refused() {
        for weighting in [ClassWeighting::Balanced, ClassWeighting::None, ClassWeighting::Given([0.6, 0.4])] {
            assert_eq!(weighting.to_string().parse(), Ok(weighting));
        }
        assert_eq!(" 0.6 , 0.4 ".parse(), Ok(ClassWeighting::Given([0.6, 0.4])));
        for wrong in ["", "0.6", "0.6,0", "0.6,-1", "nan,1", "1,2,3", "Balanced!"] {
            assert!(wrong.parse::<ClassWeighting>().unwrap_err().contains("0.6,0.4"), "{wrong}");
        }
    }
}
