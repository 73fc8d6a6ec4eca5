//! Attention with products in bf16. It may compute in f32, too, so that all is held to bounds that exact results keep.

use half::bf16;

use super::{
    attention::{Exact, exact, run},
    numbers::{close, numbers},
};
use crate::{
    Backend, Dropout, Heads, Products, Span,
    math::{dropout_factor, mix},
};

/// The most that a number is off after it was rounded to 8 bits, relatively.
const UNIT: f64 = 1.0 / 256.0;
const BOTH: [Products; 2] = [Products::Bf16; 2];

struct Case {
    heads: Heads,
    lengths: &'static [u32],
    span: Span,
    dropout: Option<Dropout>,
}

fn case(
    [query, key_value, d]: [usize; 3],
    lengths: &'static [u32],
    span: Span,
    dropout: Option<Dropout>,
) -> Case {
    Case { heads: Heads { query, key_value, d }, lengths, span, dropout }
}

/// Tiles that are full, that have one row more or less, and texts of nothing; rows that see much, little, or themselves
/// alone; each size of heads that a device is likely to have such products for, and one that is none.
fn cases() -> Vec<Case> {
    let (all, causal) = (Span::ALL, Span::CAUSAL);
    let span = |before, after| Span { before, after };
    let dropout = Some(Dropout { p: 0.3, seed: 5 });
    vec![
        case([1, 1, 32], &[1], all, None),
        case([1, 1, 32], &[2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129], causal, None),
        case([1, 1, 32], &[300], span(70, 0), None),
        case([2, 2, 32], &[65, 3], all, dropout),
        case([2, 1, 64], &[64, 0, 100, 1], causal, None),
        case([2, 1, 64], &[70], span(20, 9), dropout),
        case([1, 1, 64], &[130], span(usize::MAX, 40), None),
        case([4, 1, 96], &[33, 17], causal, dropout),
        case([1, 1, 96], &[5, 97], all, None),
        case([1, 1, 128], &[65, 1], causal, None),
        case([1, 1, 128], &[90], span(3, usize::MAX), dropout),
        case([1, 1, 128], &[20], span(0, 0), None),
        case([2, 1, 33], &[20], causal, None),
    ]
}

fn offsets(lengths: &[u32]) -> Vec<u32> {
    let sums = lengths.iter().scan(0, |sum, length| {
        *sum += length;
        Some(*sum)
    });
    [0].into_iter().chain(sums).collect()
}

/// Queries, keys and values, and the gradient of the result.
fn operands(heads: Heads, total: usize) -> [Vec<f32>; 2] {
    // Scores are larger than one so that some probabilities are far from the others.
    let qkv = numbers(total * heads.width(), 1).into_iter().map(|x| 2.0 * x).collect();
    [qkv, numbers(total * heads.query * heads.d, 2)]
}

fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|&x| bf16::from_f32(x).to_f32()).collect()
}

fn definition(case: &Case, offsets: &[u32], [qkv, g]: [&[f32]; 2]) -> Exact {
    exact(qkv, g, offsets, case.heads, case.span, |[start, end], head, i, j| match case.dropout {
        None => 1.0,
        Some(Dropout { p, seed }) => {
            let place = (head * (end - start) + i) * (end - start) + j;
            dropout_factor(mix(seed ^ start as u64), place as u64, p).into()
        }
    })
}

/// Each number within what the rounding of factors explains, and what sums in f32 add to it.
fn bounded(found: &[f32], expected: &[f64], slack: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3f64, |most, x| most.max(x.abs()));
    for (at, ((found, expected), slack)) in found.iter().zip(expected).zip(slack).enumerate() {
        let (off, allowed) = ((f64::from(*found) - expected).abs(), UNIT * slack + 2e-5 * largest);
        assert!(off <= allowed, "{what}: {found} at {at} where {expected} should be, within {allowed}");
    }
}

/// Of factors that are numbers of bf16, only the probabilities and the gradients of scores are rounded: each by 2^-8 of
/// itself at most, which bounds what each sum is off by. Forward and backward may have unlike products.
pub fn attention_with_products_in_bf16_is_off_by_their_rounding<B: Backend>(backend: &B) {
    for case in cases() {
        let Case { heads, lengths, span, dropout } = case;
        let offsets = offsets(lengths);
        let total = offsets.last().map_or(0, |&last| last as usize);
        let [qkv, g] = operands(heads, total).map(|values| rounded(&values));
        let expected = definition(&case, &offsets, [&qkv, &g]);
        let mut all = vec![BOTH];
        if total < 60 {
            all.extend([[Products::F32, Products::Bf16], [Products::Bf16, Products::F32]]);
        }
        for products in all {
            let what = format!("{heads:?} {span:?} {lengths:?} {dropout:?} {products:?}");
            let found = run(backend, [&qkv, &g], &offsets, heads, span, dropout, products);
            bounded(&found.0, &expected.out, &expected.out_slack, &what);
            bounded(&found.1, &expected.dqkv, &expected.dqkv_slack, &format!("{what}, backward"));
            if total < 100 {
                let again = run(backend, [&qkv, &g], &offsets, heads, span, dropout, products);
                assert!(found == again, "{what}: the same each time");
            }
        }
    }
    let heads = Heads { query: 2, key_value: 1, d: 64 };
    let nothing = run(backend, [&[], &[]], &[0], heads, Span::ALL, None, BOTH);
    assert_eq!(nothing, (vec![], vec![]));
}

/// What is no number of bf16 is rounded to the nearest, and then all is as if it had been one; or nothing is rounded.
pub fn attention_rounds_its_factors_to_bf16_or_not_at_all<B: Backend>(backend: &B) {
    for case in cases() {
        let Case { heads, lengths, span, dropout } = case;
        let offsets = offsets(lengths);
        let total = offsets.last().map_or(0, |&last| last as usize);
        if total > 80 {
            continue;
        }
        let given = operands(heads, total);
        let of = |[qkv, g]: [&[f32]; 2]| run(backend, [qkv, g], &offsets, heads, span, dropout, BOTH);
        let found = of([&given[0], &given[1]]);
        if found == of([&rounded(&given[0]), &rounded(&given[1])]) {
            continue;
        }
        let what = format!("{heads:?} {span:?} {lengths:?} {dropout:?}, not rounded");
        let expected = definition(&case, &offsets, [&given[0], &given[1]]);
        close(&found.0, &expected.out, 1e-5, &what);
        close(&found.1, &expected.dqkv, 2e-5, &format!("{what}, backward"));
    }
}
