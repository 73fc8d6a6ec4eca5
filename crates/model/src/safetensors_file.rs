//! A safetensors file, read tensor by tensor and never mapped: what was read of a map counts as memory of the process, and
//! a file that somebody cuts short under it ends the program.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use candle_core::{DType, Device, Tensor};
use half::slice::HalfFloatSliceExt;
use safetensors::tensor::Metadata;

/// The longest header that is read, as in safetensors itself.
const LONGEST_HEADER: u64 = 100_000_000;

/// Where the data of a file begin, and what its header says of them; a reason where it is no whole safetensors file.
pub fn read_header(file: &mut File) -> Result<(u64, Metadata), String> {
    let text = |error: std::io::Error| error.to_string();
    let size = file.metadata().map_err(text)?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(text)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER || length > size - 8 {
        return Err(format!("its header is said to be {length} bytes long"));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(text)?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| error.to_string())?;
    let (begin, data) = (8 + length, header.data_len() as u64);
    if size - begin != data {
        return Err(format!("it has {} bytes of data where its header says {data}", size - begin));
    }
    Ok((begin, header))
}

/// The tensor of this type and shape whose bytes begin at a place in a file. No second copy of it is made where it is of
/// `f32` or bf16.
pub(crate) fn read_tensor(
    file: &File,
    begin: u64,
    dtype: DType,
    shape: &[usize],
) -> candle_core::Result<Tensor> {
    let count: usize = shape.iter().product();
    let mut file = file;
    file.seek(SeekFrom::Start(begin))?;
    match dtype {
        DType::F32 => {
            let mut values = vec![0f32; count];
            file.read_exact(bytemuck::cast_slice_mut(&mut values))?;
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
        DType::BF16 => {
            let mut values = vec![half::bf16::ZERO; count];
            file.read_exact(bytemuck::cast_slice_mut(values.reinterpret_cast_mut()))?;
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
        other => {
            let mut bytes = vec![0; count * other.size_in_bytes()];
            file.read_exact(&mut bytes)?;
            Tensor::from_raw_buffer(&bytes, other, shape, &Device::Cpu)
        }
    }
}
