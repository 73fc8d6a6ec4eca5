//! What keeps a PTX text from being loaded.

/// Why a text cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not PTX.
    #[error("line {line}: «{found}» where {wanted} is expected")]
    Syntax { line: usize, found: String, wanted: &'static str },
    /// An instruction that is not emulated, or one of its modifiers or types.
    #[error("line {line}: «{instruction}» is not emulated: {why}")]
    Instruction { line: usize, instruction: String, why: String },
    /// A name that the text does not declare.
    #[error("line {line}: «{name}» is not declared")]
    Undeclared { line: usize, name: String },
    /// A declaration that is not emulated.
    #[error("line {line}: the declaration «{declaration}» is not emulated: {why}")]
    Declaration { line: usize, declaration: String, why: String },
}
