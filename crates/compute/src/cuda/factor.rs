//! Where a matrix lies in the device's memory, and how it is read.

use candle_core::cuda_backend::cudarc::cublas::sys::{cublasOperation_t, cudaDataType_t};

use crate::Place;

/// A matrix in the device's memory, row by row, in f32 or bf16.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factor {
    pub address: u64,
    /// From one row to the next.
    pub stride: usize,
    pub rows: usize,
    pub cols: usize,
    /// Whether its rows are read as columns.
    pub turned: bool,
    pub bf16: bool,
    /// Where the same numbers lie rounded to bf16, at the same stride; 0 where they do not.
    pub rounded: u64,
}

impl Factor {
    pub(super) fn new(address: u64, place: Place, turned: bool) -> Factor {
        let Place { rows, cols, stride, from } = place;
        Factor { address: address + 4 * from as u64, stride, rows, cols, turned, bf16: false, rounded: 0 }
    }

    /// Rows of numbers in f32 that follow one another.
    pub(super) fn rows(address: u64, rows: usize, cols: usize) -> Factor {
        Factor { address, stride: cols, rows, cols, turned: false, bf16: false, rounded: 0 }
    }

    pub(super) fn turned(self) -> Factor {
        Factor { turned: !self.turned, ..self }
    }

    /// Rows and columns as they are read.
    pub(super) fn shape(&self) -> (usize, usize) {
        if self.turned { (self.cols, self.rows) } else { (self.rows, self.cols) }
    }

    /// How cuBLAS, to which our rows are columns, reads it.
    pub(super) fn operation(&self) -> cublasOperation_t {
        if self.turned { cublasOperation_t::CUBLAS_OP_T } else { cublasOperation_t::CUBLAS_OP_N }
    }

    pub(super) fn kind(&self) -> cudaDataType_t {
        if self.bf16 { cudaDataType_t::CUDA_R_16BF } else { cudaDataType_t::CUDA_R_32F }
    }
}
