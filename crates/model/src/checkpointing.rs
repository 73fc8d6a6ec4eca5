/// Which blocks of a network compute what their backward needs again rather than keep it from the forward: gradient
/// checkpointing (Chen et al., arXiv 1604.06174). Such a block keeps what it reads alone. Gradients are the same to the last
/// bit either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checkpointing {
    /// None: all is kept.
    #[default]
    None,
    /// Every other block, the last not among them: half of the memory for half of the work.
    Alternate,
    /// All of them: what one block needs exists at a time.
    All,
}

impl Checkpointing {
    /// From the least work to the least memory.
    pub const WAYS: [Checkpointing; 3] = [Checkpointing::None, Checkpointing::Alternate, Checkpointing::All];

    /// Whether a block, by its place among so many, keeps what its backward needs.
    pub(crate) fn keeps(self, place: usize, count: usize) -> bool {
        match self {
            Checkpointing::None => true,
            Checkpointing::Alternate => (count - place) % 2 == 1,
            Checkpointing::All => false,
        }
    }
}

impl From<bool> for Checkpointing {
    fn from(all: bool) -> Checkpointing {
        if all { Checkpointing::All } else { Checkpointing::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_every_other_block_the_last_keeps_all() {
        let kept = |count| (0..count).filter(|&at| Checkpointing::Alternate.keeps(at, count)).collect();
        let [odd, even]: [Vec<usize>; 2] = [kept(5), kept(4)];
        assert_eq!((odd, even), (vec![0, 2, 4], vec![1, 3]));
    }
}
