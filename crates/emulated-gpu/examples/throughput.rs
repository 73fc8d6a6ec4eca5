//! How many instructions of threads are executed in a second, on one core and on two:
//! `cargo run --release -p emulated-gpu --example throughput`.

use emulated_gpu::memory::{Find, Where};
use emulated_gpu::ptx;
use emulated_gpu::vm::{Counts, Launch, Settings, launch};
use std::time::Instant;

/// A product of rows in bf16 with shuffles at its end, and a loop of integers and divergent branches.
const KERNELS: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry dot(.param .u64 x, .param .u64 y, .param .u64 out, .param .u32 n)
{
    .reg .pred %p<4>; .reg .b16 %h<4>; .reg .b32 %r<24>; .reg .f32 %f<8>; .reg .b64 %d<12>;
    ld.param.u64 %d1, [x]; ld.param.u64 %d2, [y]; ld.param.u64 %d3, [out]; ld.param.u32 %r1, [n];
    mov.u32 %r2, %tid.x; mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x;
    mul.lo.s32 %r5, %r3, %r1; mov.f32 %f1, 0f00000000;
    mov.u32 %r6, %r2;
loop:
    add.s32 %r7, %r5, %r6; mul.wide.s32 %d4, %r7, 2; add.s64 %d5, %d1, %d4; ld.global.nc.u16 %h1, [%d5];
    mul.wide.s32 %d6, %r6, 4; add.s64 %d7, %d2, %d6; ld.global.f32 %f2, [%d7];
    mov.b32 %r8, {0, %h1}; mov.b32 %f3, %r8; fma.rn.f32 %f1, %f3, %f2, %f1;
    add.s32 %r6, %r6, %r4; setp.lt.s32 %p1, %r6, %r1; @%p1 bra loop;
    mov.b32 %r9, %f1; shfl.sync.bfly.b32 %r10|%p2, %r9, 16, 31, -1; mov.b32 %f4, %r10; add.f32 %f1, %f1, %f4;
    mov.b32 %r9, %f1; shfl.sync.bfly.b32 %r10|%p2, %r9, 8, 31, -1; mov.b32 %f4, %r10; add.f32 %f1, %f1, %f4;
    mul.lo.s32 %r11, %r3, %r4; add.s32 %r11, %r11, %r2; mul.wide.s32 %d8, %r11, 4; add.s64 %d9, %d3, %d8;
    st.global.f32 [%d9], %f1;
    ret;
}
.visible .entry integers(.param .u64 x, .param .u64 y, .param .u64 out, .param .u32 n)
{
    .reg .pred %p<4>; .reg .b32 %r<24>; .reg .b64 %d<12>;
    ld.param.u64 %d3, [out]; ld.param.u32 %r1, [n];
    mov.u32 %r2, %tid.x; mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x;
    mad.lo.s32 %r5, %r3, %r4, %r2; mov.u32 %r6, 0; mov.u32 %r7, %r5;
loop:
    mul.lo.s32 %r7, %r7, 1664525; add.s32 %r7, %r7, 1013904223; shr.u32 %r8, %r7, 16; xor.b32 %r9, %r8, %r6;
    and.b32 %r10, %r9, 1; setp.eq.s32 %p1, %r10, 0; @%p1 bra even;
    mad.lo.s32 %r7, %r7, 3, %r9;
even:
    shf.l.wrap.b32 %r7, %r7, %r7, 7; add.s32 %r6, %r6, 1; setp.lt.s32 %p2, %r6, %r1; @%p2 bra loop;
    mul.wide.s32 %d8, %r5, 4; add.s64 %d9, %d3, %d8; st.global.u32 [%d9], %r7;
    ret;
}
";

const BLOCKS: u32 = 256;
const THREADS: u32 = 256;
const WIDTH: u32 = 8192;

struct Buffers(Vec<Vec<u64>>);

impl Find for Buffers {
    fn find(&self, address: u64) -> Where {
        let ranges = self.0.iter().map(|words| {
            let start = words.as_ptr() as u64;
            start..start + 8 * words.len() as u64
        });
        ranges.into_iter().find(|range| range.contains(&address)).map_or(Where::Nowhere, Where::Live)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let module = ptx::parse(KERNELS)?;
    let sizes = [BLOCKS * WIDTH / 4, WIDTH / 2, BLOCKS * THREADS / 2];
    let buffers = Buffers(sizes.iter().map(|&size| vec![0x3f80_3f80_3f80_3f80; size as usize]).collect());
    let mut params: Vec<u8> =
        buffers.0.iter().flat_map(|words| (words.as_ptr() as u64).to_le_bytes()).collect();
    params.extend(WIDTH.to_le_bytes());
    for kernel in &module.kernels {
        for threads in [1, 2] {
            let of = Launch {
                kernel,
                grid: [BLOCKS, 1, 1],
                block: [THREADS, 1, 1],
                dynamic_shared: 0,
                shared_limit: 48 << 10,
                params: &params,
            };
            let settings = Settings { threads, ..Settings::default() };
            let begun = Instant::now();
            let Counts { thread_instructions, .. } = launch(&of, &buffers, &settings)?;
            let seconds = begun.elapsed().as_secs_f64();
            let rate = thread_instructions as f64 / seconds / 1e6;
            println!(
                "{}: {threads} threads, {thread_instructions} in {seconds:.3} s, {rate:.0} M/s",
                kernel.name
            );
        }
    }
    Ok(())
}
