//! Instructions as they are executed: opcodes, modifiers and types have become variants, names have become places in
//! the register file.

use super::types::{Type, Width};

/// A register: the number of its first line in the register file. A line has 32 bits for each of 32 lanes; a register of
/// 64 bits has two, the lower half first, one of 16 bits has the lower half of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Register(pub u32);

/// A predicate register: a mask with a bit for each lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Predicate(pub u32);

/// An instruction and what goes with it.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// Lanes whose predicate is false (true, where it is negated) pass it over.
    pub guard: Option<(Predicate, bool)>,
    /// What it does.
    pub operation: Operation,
    /// Its text, in [`super::Kernel::texts`].
    pub text: u32,
}

/// What an instruction does.
#[derive(Clone, Debug)]
pub enum Operation {
    Integer(Integer),
    Carry(Carry),
    Logic(Logic),
    Float(Float),
    Compare(Compare),
    Set(Set),
    Select {
        width: Width,
        d: Register,
        a: Register,
        b: Register,
        p: Predicate,
        negated: bool,
    },
    /// `slct`: `a` where `c` is not negative.
    SelectBySign {
        width: Width,
        float: bool,
        ftz: bool,
        d: Register,
        a: Register,
        b: Register,
        c: Register,
    },
    TestFloat {
        test: FloatTest,
        double: bool,
        d: Predicate,
        a: Register,
    },
    Convert(Convert),
    /// Two numbers in single precision to one register of two halves, `a` to the upper one.
    ConvertPair {
        bf16: bool,
        toward_zero: bool,
        relu: bool,
        d: Register,
        a: Register,
        b: Register,
    },
    Move {
        width: Width,
        d: Register,
        s: Register,
    },
    /// Parts to one register, the lowest part first.
    Pack {
        part: Width,
        d: Register,
        s: Box<[Register]>,
    },
    /// One register to its parts; a part may be dropped.
    Unpack {
        part: Width,
        d: Box<[Option<Register>]>,
        s: Register,
    },
    /// An address of a state space to a generic one.
    ToGeneric {
        space: Space,
        d: Register,
        s: Register,
    },
    /// A generic address to one of a state space.
    FromGeneric {
        space: Space,
        d: Register,
        s: Register,
    },
    IsSpace {
        space: Space,
        d: Predicate,
        s: Register,
    },
    Load(Load),
    Store(Store),
    Atomic(Atomic),
    Shuffle(Shuffle),
    Vote {
        kind: Vote,
        d: Predicate,
        a: Predicate,
        negated: bool,
        mask: Register,
    },
    Ballot {
        d: Register,
        a: Predicate,
        negated: bool,
        mask: Register,
    },
    /// Lanes with the same value; `all` gives the mask only where every lane has it.
    Match {
        width: Width,
        all: bool,
        d: Register,
        p: Option<Predicate>,
        a: Register,
        mask: Register,
    },
    Reduce {
        op: ReduceOp,
        signed: bool,
        d: Register,
        a: Register,
        mask: Register,
    },
    ActiveMask {
        d: Register,
    },
    WarpBarrier {
        mask: Register,
    },
    Barrier(Barrier),
    Mma(Box<Mma>),
    LoadMatrix {
        address: Address,
        transposed: bool,
        d: Box<[Register]>,
    },
    WmmaLoad(Box<WmmaMemory>),
    WmmaStore(Box<WmmaMemory>),
    WmmaMma(Box<WmmaMma>),
    AsyncCopy {
        shared: Address,
        global: Address,
        bytes: u8,
        given: Option<Register>,
    },
    AsyncCommit,
    /// Waits until at most so many groups are under way; with none given, for all copies.
    AsyncWait(Option<u32>),
    Branch(u32),
    Exit,
    Trap,
    /// A failed `assert`; the register has the place in local memory of a pointer to its text.
    Assert {
        message: Register,
    },
    /// A call of what only a device has.
    Unsupported(Box<str>),
    /// What changes no result here: fences, prefetches, sleep. Memory is always in order.
    Nothing,
}

/// The type of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Int {
    U16,
    S16,
    U32,
    S32,
    U64,
    S64,
}

/// An operation on integers or bits.
#[derive(Clone, Copy, Debug)]
pub struct Integer {
    pub op: IntegerOp,
    pub ty: Int,
    pub d: Register,
    pub s: [Register; 4],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegerOp {
    Add,
    AddSat,
    Sub,
    SubSat,
    MulLow,
    MulHigh,
    MulWide,
    MadLow,
    MadHigh,
    MadHighSat,
    MadWide,
    Mul24Low,
    Mul24High,
    Mad24Low,
    Mad24High,
    Mad24HighSat,
    Sad,
    Div,
    Rem,
    Abs,
    Neg,
    Min,
    Max,
    And,
    Or,
    Xor,
    Not,
    Cnot,
    /// `lop3` with its table.
    Logic3(u8),
    Shl,
    Shr,
    FunnelLeft {
        wrap: bool,
    },
    FunnelRight {
        wrap: bool,
    },
    Popc,
    Clz,
    /// The highest set bit; with `shift`, how far it is from the top.
    Bfind {
        shift: bool,
    },
    Brev,
    Bfe,
    Bfi,
    Fns,
    Permute(PermuteMode),
    Dp4a {
        a_signed: bool,
        b_signed: bool,
    },
    Dp2a {
        a_signed: bool,
        b_signed: bool,
        high: bool,
    },
}

/// How `prmt` selects bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermuteMode {
    Default,
    Forward4,
    Backward4,
    Replicate8,
    EdgeLeft,
    EdgeRight,
    Replicate16,
}

/// Extended-precision arithmetic, with a carry (PTX ISA, Extended-Precision Integer Arithmetic Instructions).
#[derive(Clone, Copy, Debug)]
pub struct Carry {
    pub op: CarryOp,
    pub carry_in: bool,
    pub carry_out: bool,
    pub ty: Int,
    pub d: Register,
    pub s: [Register; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarryOp {
    Add,
    Sub,
    MadLow,
    MadHigh,
}

/// Logic of predicates.
#[derive(Clone, Copy, Debug)]
pub struct Logic {
    pub op: Combine,
    pub d: Predicate,
    pub a: Predicate,
    pub a_negated: bool,
    pub b: Predicate,
    pub b_negated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    And,
    Or,
    Xor,
}

impl Operation {
    /// What a thread adds to the count of operations on floating-point numbers: two for a multiplication with an addition,
    /// one for another result, and its share of a product of tensor cores, 2 · 16 · 8 · k for the warp. What only moves a
    /// number or its sign is none.
    pub fn flop(&self) -> u64 {
        match self {
            Operation::Float(Float { op, ty, .. }) => {
                let each = match op {
                    FloatOp::Fma => 2,
                    FloatOp::Min | FloatOp::Max | FloatOp::Abs | FloatOp::Neg | FloatOp::CopySign => 0,
                    _ => 1,
                };
                if matches!(ty, FloatType::F16x2 | FloatType::Bf16x2) { 2 * each } else { each }
            }
            Operation::Mma(mma) => 8 * mma.k as u64,
            _ => 0,
        }
    }
}

/// A type of floating-point numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatType {
    F16,
    Bf16,
    F16x2,
    Bf16x2,
    F32,
    F64,
}

/// How a result is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, ties to even.
    Nearest,
    /// To the nearest, ties away from zero.
    NearestAway,
    Zero,
    Down,
    Up,
}

/// An operation on floating-point numbers.
#[derive(Clone, Copy, Debug)]
pub struct Float {
    pub op: FloatOp,
    pub ty: FloatType,
    pub rounding: Rounding,
    /// Subnormal operands and results become zero of their sign.
    pub ftz: bool,
    /// The result is clamped to [0, 1], NaN to 0.
    pub sat: bool,
    /// `min` and `max` give NaN where an operand is one.
    pub nan: bool,
    /// `min` and `max` of magnitudes, with the exclusive or of the signs.
    pub xorsign_abs: bool,
    /// A negative result becomes zero.
    pub relu: bool,
    pub d: Register,
    pub s: [Register; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatOp {
    Add,
    Sub,
    Mul,
    Fma,
    Div,
    /// `div.approx`, which gives 0 for divisors past 2^126.
    DivApprox,
    Min,
    Max,
    Abs,
    Neg,
    Rcp,
    /// Of the upper half of a number in double precision; the lower half of the result is zero.
    RcpGross,
    Sqrt,
    Rsqrt,
    RsqrtGross,
    Sin,
    Cos,
    Lg2,
    Ex2,
    Tanh,
    CopySign,
}

/// What a comparison asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Equ,
    Neu,
    Ltu,
    Leu,
    Gtu,
    Geu,
    Num,
    Nan,
}

/// The type of what is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    Integer(Int),
    Float(FloatType),
}

/// A comparison, the same of `setp` and `set`.
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    pub comparison: Comparison,
    pub ty: Compared,
    pub ftz: bool,
    /// A predicate that the result is combined with, and whether it is negated.
    pub combine: Option<(Combine, Predicate, bool)>,
    pub a: Register,
    pub b: Register,
}

/// `setp`.
#[derive(Clone, Copy, Debug)]
pub struct Compare {
    pub condition: Condition,
    /// The result; of packed halves, the lower one's.
    pub d: Option<Predicate>,
    /// The result with the comparison negated; of packed halves, the upper one's result.
    pub other: Option<Predicate>,
}

/// `set`.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    pub condition: Condition,
    pub to: SetTo,
    pub d: Register,
}

/// What true is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTo {
    Ones16,
    Ones32,
    F16,
    Bf16,
    F32,
    F16x2,
    Bf16x2,
}

/// What `testp` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatTest {
    Finite,
    Infinite,
    Number,
    NotANumber,
    Normal,
    Subnormal,
}

/// `cvt` of one number.
#[derive(Clone, Copy, Debug)]
pub struct Convert {
    pub to: Type,
    pub from: Type,
    pub rounding: Rounding,
    /// Whether a number stays a floating-point number and is rounded to an integral one.
    pub integral: bool,
    pub ftz: bool,
    pub sat: bool,
    pub relu: bool,
    pub d: Register,
    /// The register may be wider than what is converted to.
    pub width: Width,
    pub s: Register,
}

/// A state space, as instructions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    Generic,
    Global,
    Const,
    Shared,
    Local,
    Param,
}

/// A base and a distance from it.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    pub base: Register,
    pub width: Width,
    pub offset: i64,
}

/// What is loaded or stored by each lane: up to four elements.
#[derive(Clone, Copy, Debug)]
pub struct Elements {
    pub bytes: u8,
    pub signed: bool,
    pub count: u8,
    /// The registers, and of a load how wide they are; one that is dropped is `None`.
    pub registers: [Option<Register>; 4],
    pub width: Width,
}

#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub space: Space,
    /// Volatile, relaxed or acquiring: no race with others of its kind.
    pub strong: bool,
    pub address: Address,
    pub elements: Elements,
}

#[derive(Clone, Copy, Debug)]
pub struct Store {
    pub space: Space,
    /// Volatile, relaxed or releasing.
    pub strong: bool,
    pub address: Address,
    pub elements: Elements,
}

/// `atom` and `red`.
#[derive(Clone, Copy, Debug)]
pub struct Atomic {
    pub space: Space,
    pub op: AtomicOp,
    pub ty: Type,
    pub d: Option<Register>,
    pub address: Address,
    pub b: Register,
    pub c: Register,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtomicOp {
    Add,
    Exchange,
    CompareAndSwap,
    And,
    Or,
    Xor,
    Min,
    Max,
    Increment,
    Decrement,
}

#[derive(Clone, Copy, Debug)]
pub struct Shuffle {
    pub mode: ShuffleMode,
    pub d: Register,
    pub p: Option<Predicate>,
    pub a: Register,
    pub b: Register,
    pub c: Register,
    pub mask: Register,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShuffleMode {
    Up,
    Down,
    Butterfly,
    Index,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    All,
    Any,
    Uniform,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceOp {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
}

/// `bar` and `barrier`.
#[derive(Clone, Copy, Debug)]
pub struct Barrier {
    pub id: Register,
    /// None for all threads of the block.
    pub count: Option<Register>,
    /// Whether all lanes of a warp must come to it together.
    pub aligned: bool,
    pub kind: BarrierKind,
}

#[derive(Clone, Copy, Debug)]
pub enum BarrierKind {
    Sync,
    Arrive,
    /// How many threads' predicates are true.
    Count {
        d: Register,
        a: Predicate,
        negated: bool,
    },
    /// Whether those of all threads are, or (`any`) of any.
    Test {
        any: bool,
        d: Predicate,
        a: Predicate,
        negated: bool,
    },
}

/// The type of a matrix' elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixType {
    F16,
    Bf16,
    Tf32,
    S8,
    U8,
    S32,
    F32,
}

/// `mma.sync` of an m16n8k… shape: d = a · b + c.
#[derive(Clone, Debug)]
pub struct Mma {
    /// Columns of a, rows of b.
    pub k: usize,
    pub a_type: MatrixType,
    pub b_type: MatrixType,
    pub c_type: MatrixType,
    pub d_type: MatrixType,
    pub saturate: bool,
    pub d: Vec<Register>,
    pub a: Vec<Register>,
    pub b: Vec<Register>,
    pub c: Vec<Register>,
}

/// Which matrix of a product a fragment is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    A,
    B,
    Accumulator,
}

/// `wmma.load` and `wmma.store` of a 16 × 16 matrix.
#[derive(Clone, Debug)]
pub struct WmmaMemory {
    pub space: Space,
    pub address: Address,
    /// Elements from one row (or column) to the next.
    pub stride: Register,
    pub column_major: bool,
    pub fragment: Fragment,
    pub ty: MatrixType,
    pub registers: Vec<Register>,
}

/// `wmma.mma` of 16 × 16 × 16.
#[derive(Clone, Debug)]
pub struct WmmaMma {
    pub ty: MatrixType,
    pub c_type: MatrixType,
    pub d_type: MatrixType,
    pub d: Vec<Register>,
    pub a: Vec<Register>,
    pub b: Vec<Register>,
    pub c: Vec<Register>,
}
