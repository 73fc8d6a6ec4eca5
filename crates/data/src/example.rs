use mbti::Type;

/// One text with the type of the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Whoever wrote it, by any name that is the same for all of their texts.
    pub author: Option<String>,
    pub text: String,
    pub mbti: Type,
}

impl Example {
    /// Bytes of its text and its author's name.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.author.as_deref().map_or(0, str::len)
    }
}
