/// What became of the weights of a folder when a network was built from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Weights that the folder lacks, drawn by the seed.
    pub new: Vec<String>,
    /// Weights in the folder that the network has no place for, such as a language model's own head.
    pub unused: Vec<String>,
    /// Weights of a head that were there in another shape and were drawn anew: name, shape found,
    /// shape wanted.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl LoadReport {
    /// What there is to tell, a sentence a line; empty where every weight found its place.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        let list = |names: &[String]| match names {
            [first, second, third, rest @ ..] if !rest.is_empty() => {
                format!("{first}, {second}, {third} and {} more", rest.len())
            }
            names => names.join(", "),
        };
        if !self.new.is_empty() {
            sentences.push(format!("New weights, drawn by the seed: {}.", list(&self.new)));
        }
        if !self.unused.is_empty() {
            sentences.push(format!("Weights of the folder that are not used: {}.", list(&self.unused)));
        }
        for (name, found, wanted) in &self.misshapen {
            sentences.push(format!(
                "{name} has the shape {found:?} where {wanted:?} is wanted; it was drawn anew."
            ));
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_and_nothing_is_said_of_nothing() {
        assert_eq!(LoadReport::default().sentences(), Vec::<String>::new());
        let unused = (0..5).map(|n| format!("w{n}")).collect();
        let report = LoadReport { unused, ..Default::default() };
        assert!(report.sentences()[0].contains("w2 and 2 more"), "{:?}", report.sentences());
    }
}
