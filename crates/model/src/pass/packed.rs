use candle_core::{Result, bail};
use compute::{Angles, Backend, Grouped, Matrix, Texts, grouped};

use crate::{Targets, packed::Packed};

/// A batch in a device's memory, to which it is [brought](Backend::bring) at once.
pub(super) struct OnDevice<B: Backend> {
    pub(super) ids: Rows<B>,
    pub(super) texts: Texts<B>,
    /// See [`Packed::others`].
    pub(super) others: Vec<Rows<B>>,
    /// One for each kind of layers.
    pub(super) angles: Vec<Angles<B>>,
}

/// The row of a table that each token has.
pub(super) struct Rows<B: Backend> {
    pub(super) count: usize,
    pub(super) on_device: B::Ids,
    grouped: Option<Grouped<B>>,
}

impl<B: Backend> Rows<B> {
    /// The tokens by their rows, for the gradient of the table.
    pub(super) fn grouped(&self) -> Result<&Grouped<B>> {
        match &self.grouped {
            Some(grouped) => Ok(grouped),
            None => bail!("the batch was brought for tables that do not learn"),
        }
    }
}

impl<B: Backend> OnDevice<B> {
    pub(super) fn new(backend: &B, packed: &Packed) -> Result<OnDevice<B>> {
        Ok(bring(backend, packed, &[], false)?.0)
    }

    /// The same to learn from, with the targets `[texts, axes]`. `tables` says whether tables learn.
    pub(super) fn to_learn(
        backend: &B,
        packed: &Packed,
        targets: &Targets,
        tables: bool,
    ) -> Result<(OnDevice<B>, Matrix<B>)> {
        let Targets { values, axes } = targets;
        let (batch, further) = bring(backend, packed, &[values], tables)?;
        let Some(buffer) = further else { bail!("the targets did not come to the device") };
        let rows = values.len().checked_div(*axes).unwrap_or(0);
        Ok((batch, Matrix { buffer, rows, cols: *axes }))
    }
}

/// A batch, with its tokens by their rows where tables learn, and further numbers.
fn bring<B: Backend>(
    backend: &B,
    packed: &Packed,
    further: &[&[f32]],
    tables: bool,
) -> Result<(OnDevice<B>, Option<B::Buffer>)> {
    let Packed { ids, offsets, others, rotations } = packed;
    let of_tables: Vec<&[u32]> = std::iter::once(&**ids).chain(others.iter().map(|ids| &**ids)).collect();
    let groups: Vec<[Vec<u32>; 3]> = of_tables.iter().filter(|_| tables).map(|ids| grouped(ids)).collect();
    let lists: Vec<&[u32]> = std::iter::once(&**offsets)
        .chain(of_tables.iter().copied())
        .chain(groups.iter().flatten().map(Vec::as_slice))
        .collect();
    let turns = rotations.iter().flat_map(|turn| [&turn.cos[..], &turn.sin[..]]);
    let numbers: Vec<&[f32]> = turns.chain(further.iter().copied()).collect();

    let (lists, numbers) = backend.bring(&lists, &numbers)?;
    let (mut lists, mut numbers) = (lists.into_iter(), numbers.into_iter());
    let Some(of_texts) = lists.next() else { bail!("the texts did not come to the device") };
    let texts = Texts::of(offsets.clone(), of_texts)?;
    let ids_of_tables: Vec<B::Ids> = lists.by_ref().take(of_tables.len()).collect();
    let mut groups = groups.iter();
    let rows = ids_of_tables.into_iter().zip(&of_tables).map(|(on_device, ids)| {
        let grouped = groups.next().map(|groups| Grouped::of(groups, &mut lists)).transpose()?;
        Ok(Rows { count: ids.len(), on_device, grouped })
    });
    let mut rows = rows.collect::<Result<Vec<_>>>()?.into_iter();
    let Some(ids) = rows.next() else { bail!("the ids did not come to the device") };
    let others = rows.collect();
    let mut angles = Vec::with_capacity(rotations.len());
    for turn in rotations {
        let (Some(cos), Some(sin)) = (numbers.next(), numbers.next()) else {
            bail!("the angles did not come to the device")
        };
        let total = turn.cos.len().checked_div(turn.half).unwrap_or(0);
        angles.push(Angles { cos, sin, total, half: turn.half });
    }
    Ok((OnDevice { ids, texts, others, angles }, numbers.next()))
}
