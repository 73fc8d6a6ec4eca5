use super::numbers::{close, down, numbers, up};
use crate::{Backend, Dropout, Heads, Matrix, Products, Span, Texts};

const IN_F32: [Products; 2] = [Products::F32; 2];

/// Columns of queries, keys and values in double precision.
struct Rows<'a> {
    values: &'a [f32],
    heads: Heads,
}

impl Rows<'_> {
    fn at(&self, row: usize, head: usize, feature: usize) -> f64 {
        f64::from(self.values[row * self.heads.width() + head * self.heads.d + feature])
    }

    fn query(&self, row: usize, head: usize, feature: usize) -> f64 {
        self.at(row, head, feature)
    }

    fn key(&self, row: usize, head: usize, feature: usize) -> f64 {
        self.at(row, self.heads.query + head / self.heads.group(), feature)
    }

    fn value(&self, row: usize, head: usize, feature: usize) -> f64 {
        self.at(row, self.heads.query + self.heads.key_value + head / self.heads.group(), feature)
    }
}

/// What the definition gives, in double precision.
pub(super) struct Exact {
    pub out: Vec<f64>,
    pub dqkv: Vec<f64>,
    /// What each number of `out` may be off by for each unit that the probabilities are as factors, relatively.
    pub out_slack: Vec<f64>,
    /// The same of `dqkv`, where the gradients of scores are off by as much as factors, too, and by what is off in `out`.
    pub dqkv_slack: Vec<f64>,
}

/// The result and the gradient of qkv, with what each probability is multiplied by, which depends on the text's two
/// offsets, the head, the query and the key.
pub(super) fn exact(
    qkv: &[f32],
    g: &[f32],
    offsets: &[u32],
    heads: Heads,
    span: Span,
    mask: impl Fn([usize; 2], usize, usize, usize) -> f64,
) -> Exact {
    let rows = Rows { values: qkv, heads };
    let (d, width, out_width) = (heads.d, heads.width(), heads.query * heads.d);
    let total = offsets.last().map_or(0, |&last| last as usize);
    let [mut out, mut out_slack] = [(); 2].map(|()| vec![0f64; total * out_width]);
    let [mut dqkv, mut dqkv_slack] = [(); 2].map(|()| vec![0f64; total * width]);
    let scale = 1.0 / (d as f64).sqrt();
    for text in offsets.windows(2) {
        let (start, len) = (text[0] as usize, (text[1] - text[0]) as usize);
        for head in 0..heads.query {
            let key_head = heads.query + head / heads.group();
            let value_head = key_head + heads.key_value;
            for i in 0..len {
                let seen = span.of(i, len);
                let score = |j: usize| -> f64 {
                    (0..d).map(|f| rows.query(start + i, head, f) * rows.key(start + j, head, f)).sum::<f64>()
                        * scale
                };
                let scores: Vec<f64> = seen.clone().map(score).collect();
                let largest = scores.iter().copied().fold(f64::MIN, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - largest).exp()).sum();
                let p: Vec<f64> = scores.iter().map(|s| (s - largest).exp() / sum).collect();
                let m: Vec<f64> = seen.clone().map(|j| mask([start, start + len], head, i, j)).collect();
                let of_g = |f: usize| f64::from(g[(start + i) * out_width + head * d + f]);
                let dp: Vec<f64> = seen
                    .clone()
                    .zip(&m)
                    .map(|(j, m)| m * (0..d).map(|f| of_g(f) * rows.value(start + j, head, f)).sum::<f64>())
                    .collect();
                let mean: f64 = dp.iter().zip(&p).map(|(dp, p)| dp * p).sum();
                let result = (start + i) * out_width + head * d;
                for (at, j) in seen.clone().enumerate() {
                    for f in 0..d {
                        let part = m[at] * p[at] * rows.value(start + j, head, f);
                        out[result + f] += part;
                        out_slack[result + f] += part.abs();
                    }
                }
                let mean_slack: f64 = (0..d).map(|f| of_g(f).abs() * out_slack[result + f]).sum();
                for (at, j) in seen.clone().enumerate() {
                    let ds = p[at] * (dp[at] - mean) * scale;
                    let ds_slack = ds.abs() + p[at] * mean_slack * scale;
                    for f in 0..d {
                        let (q, k) = (rows.query(start + i, head, f), rows.key(start + j, head, f));
                        let to_v = m[at] * p[at] * of_g(f);
                        for (place, part, slack) in [
                            ((start + i) * width + head * d + f, ds * k, ds_slack * k.abs()),
                            ((start + j) * width + key_head * d + f, ds * q, ds_slack * q.abs()),
                            ((start + j) * width + value_head * d + f, to_v, to_v.abs()),
                        ] {
                            dqkv[place] += part;
                            dqkv_slack[place] += slack;
                        }
                    }
                }
            }
        }
    }
    Exact { out, dqkv, out_slack, dqkv_slack }
}

/// Forward and backward, by these products.
pub(super) fn run<B: Backend>(
    backend: &B,
    [qkv, g]: [&[f32]; 2],
    offsets: &[u32],
    heads: Heads,
    span: Span,
    dropout: Option<Dropout>,
    products: [Products; 2],
) -> (Vec<f32>, Vec<f32>) {
    let texts = Texts::new(backend, offsets.into()).unwrap();
    let (total, out_width) = (texts.total(), heads.query * heads.d);
    let (qkv, g) = (up(backend, qkv, heads.width()), up(backend, g, out_width));
    let mut out = Matrix::new(backend, total, out_width).unwrap();
    let keeps = backend.attention_keeps(total, heads);
    let mut kept = backend.buffer(keeps).unwrap();
    let (to, keep) = (out.all_mut().values, B::write(&mut kept, 0..keeps));
    backend.attention(to, keep, qkv.all().values, &texts, heads, span, dropout, products[0]).unwrap();
    let mut dqkv = Matrix::new(backend, total, heads.width()).unwrap();
    let forward = [out.all().values, B::read(&kept, 0..keeps)];
    let (to, qkv, g) = (dqkv.all_mut().values, qkv.all().values, g.all().values);
    backend.attention_backward(to, qkv, forward, g, &texts, heads, span, dropout, products[1]).unwrap();
    (down(backend, &out), down(backend, &dqkv))
}

/// Texts of unlike lengths, of one token too, grouped heads, and heads of 12 to 256 features.
pub fn attention_is_that_of_the_definition<B: Backend>(backend: &B) {
    let heads = |query, key_value, d| Heads { query, key_value, d };
    let all = [
        heads(1, 1, 12),
        heads(4, 2, 32),
        heads(3, 3, 33),
        heads(2, 1, 96),
        heads(2, 2, 128),
        heads(1, 1, 256),
    ];
    let spans = [Span::ALL, Span::CAUSAL, Span { before: 3, after: 0 }, Span { before: 2, after: 2 }];
    for (heads, offsets) in all.into_iter().zip([
        &[0, 1, 6][..],
        &[0, 17, 18, 21],
        &[0, 40],
        &[0, 3, 3 + 1, 29],
        &[0, 20, 23],
        &[0, 9],
    ]) {
        let total = *offsets.last().unwrap() as usize;
        let (qkv, g) = (numbers(total * heads.width(), 1), numbers(total * heads.query * heads.d, 2));
        for span in spans {
            let expected = exact(&qkv, &g, offsets, heads, span, |_, _, _, _| 1.0);
            let found = run(backend, [&qkv, &g], offsets, heads, span, None, IN_F32);
            close(&found.0, &expected.out, 1e-5, &format!("{heads:?} {span:?} {offsets:?}"));
            close(&found.1, &expected.dqkv, 2e-5, &format!("{heads:?} {span:?} {offsets:?}, backward"));
            let again = run(backend, [&qkv, &g], offsets, heads, span, None, IN_F32);
            assert!(found == again, "the same each time");
        }
    }
    let nothing = run(backend, [&[], &[]], &[0], heads(2, 1, 8), Span::ALL, None, IN_F32);
    assert_eq!(nothing, (vec![], vec![]));
    let texts = Texts::new(backend, [0, 2].into()).unwrap();
    let wrong = heads(3, 2, 4);
    let (qkv, mut out) = (up(backend, &numbers(56, 1), 28), up(backend, &numbers(24, 1), 12));
    let mut kept = backend.buffer(64).unwrap();
    let (to, keep) = (out.all_mut().values, B::write(&mut kept, 0..12));
    let refused =
        backend.attention(to, keep, qkv.all().values, &texts, wrong, Span::ALL, None, Products::F32);
    assert!(refused.is_err(), "three heads cannot share two");
}

/// With values that are the unit vectors the result is the probabilities, each times what dropout does with it.
pub fn dropout_of_attention_is_on_its_probabilities<B: Backend>(backend: &B) {
    let (len, query) = (12usize, 2usize);
    let heads = Heads { query, key_value: 1, d: len };
    let mut qkv = numbers(len * heads.width(), 1);
    for (row, values) in qkv.chunks_exact_mut(heads.width()).enumerate() {
        let from = (query + 1) * len;
        (0..len).for_each(|at| values[from + at] = f32::from(u8::from(at == row)));
    }
    let g = numbers(len * query * len, 2);
    let (offsets, dropout) = ([0, len as u32], Dropout { p: 0.4, seed: 11 });
    let (plain, _) = run(backend, [&qkv, &g], &offsets, heads, Span::ALL, None, IN_F32);
    let (dropped, gradient) = run(backend, [&qkv, &g], &offsets, heads, Span::ALL, Some(dropout), IN_F32);
    let factor = |at: usize| f64::from(dropped[at]) / f64::from(plain[at]);
    let kept = (0..dropped.len()).filter(|&at| dropped[at] != 0.0).count();
    assert!(kept > dropped.len() / 3 && kept < dropped.len(), "{kept} of {}", dropped.len());
    let all = (0..dropped.len()).map(factor);
    assert!(all.clone().all(|x| x == 0.0 || (x - 1.0 / 0.6).abs() < 1e-4));
    let mask = |_: [usize; 2], head: usize, i: usize, j: usize| factor(i * query * len + head * len + j);
    let expected = exact(&qkv, &g, &offsets, heads, Span::ALL, mask);
    close(&dropped, &expected.out, 1e-5, "with dropout");
    close(&gradient, &expected.dqkv, 1e-4, "with dropout, backward");
}
