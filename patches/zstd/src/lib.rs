//! Zstandard, for the driver: a frame that states more bytes than a message may have is refused, and inflating ends there.

#[path = "../../limit.rs"]
mod limit;

use std::io::{self, Write};
use std::ops::RangeInclusive;

/// The level that level 0 means.
pub const DEFAULT_COMPRESSION_LEVEL: i32 = zstd_safe::CLEVEL_DEFAULT;

/// The levels that encoders take.
pub fn compression_level_range() -> RangeInclusive<i32> {
    zstd_safe::min_c_level()..=zstd_safe::max_c_level()
}

fn invalid(code: zstd_safe::ErrorCode) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, zstd_safe::get_error_name(code))
}

/// Compresses what is written to it when it is finished: the driver writes one message.
pub struct Encoder<W: Write> {
    target: W,
    data: Vec<u8>,
    level: i32,
}

impl<W: Write> Encoder<W> {
    /// Compressed data goes to `target`.
    ///
    /// # Errors
    /// None: the driver expects a result.
    pub fn new(target: W, level: i32) -> io::Result<Self> {
        let data = Vec::new();
        Ok(Self {
            target,
            data,
            level,
        })
    }

    /// Compress what was written, and return the target.
    ///
    /// # Errors
    /// Those of the codec and of the target.
    pub fn finish(mut self) -> io::Result<W> {
        let mut frame = Vec::with_capacity(zstd_safe::compress_bound(self.data.len()));
        zstd_safe::compress(&mut frame, &self.data, self.level).map_err(invalid)?;
        self.target.write_all(&frame)?;
        Ok(self.target)
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.data.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Functions of streams.
pub mod stream {
    use super::{invalid, limit};
    use std::io::{self, Write};
    use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

    /// The logarithm of the largest window that is kept: the smallest power of two that a message fits in.
    const WINDOW_LOG_MAX: u32 = usize::BITS - limit::MAX_MESSAGE_SIZE.leading_zeros();

    /// Inflate frames.
    ///
    /// # Errors
    /// For data that is no frame or ends within one; for more bytes than a message may have, before the frame is inflated
    /// if it states its size; those of the target.
    pub fn copy_decode<W: Write>(source: &[u8], mut target: W) -> io::Result<()> {
        let stated = zstd_safe::get_frame_content_size(source);
        if stated.is_ok_and(|size| size > Some(limit::MAX_MESSAGE_SIZE as u64)) {
            return Err(limit::too_large());
        }
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
            .map_err(invalid)?;
        let mut input = InBuffer::around(source);
        let mut part = Vec::with_capacity(DCtx::out_size());
        let mut total = 0;
        loop {
            part.clear();
            let wanted = context
                .decompress_stream(&mut OutBuffer::around(&mut part), &mut input)
                .map_err(invalid)?;
            total += part.len();
            if total > limit::MAX_MESSAGE_SIZE {
                return Err(limit::too_large());
            }
            target.write_all(&part)?;
            if input.pos() == source.len() {
                if wanted == 0 {
                    return Ok(());
                }
                if part.len() < part.capacity() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // tests fail by panicking
    use super::limit::MAX_MESSAGE_SIZE;
    use super::{compression_level_range, stream, Encoder, DEFAULT_COMPRESSION_LEVEL};
    use std::io::{self, Write};

    /// A frame that states its size.
    fn compressed(data: &[u8], level: i32) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), level).unwrap();
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// A frame of 128 KiB of zeros for each block, which does not state its size.
    fn zeros(blocks: usize) -> Vec<u8> {
        let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x58]; // the magic number, no options, a window of 2 MiB
        for block in 1..=blocks {
            let header = (128 << 10 << 3) | (1 << 1) | usize::from(block == blocks); // size, one repeated byte, the last
            frame.extend_from_slice(&header.to_le_bytes()[..3]);
            frame.push(0);
        }
        frame
    }

    fn inflated(data: &[u8]) -> io::Result<Vec<u8>> {
        let mut found = Vec::new();
        stream::copy_decode(data, &mut found)?;
        Ok(found)
    }

    #[test]
    fn messages_come_back() {
        for data in [&b""[..], &b"a message, a message, another".repeat(10_000)] {
            for level in [
                DEFAULT_COMPRESSION_LEVEL,
                0,
                *compression_level_range().end(),
            ] {
                assert_eq!(inflated(&compressed(data, level)).unwrap(), data);
            }
        }
        for blocks in [1, 2, 100] {
            assert!(inflated(&zeros(blocks)).unwrap() == vec![0; blocks << 17]);
        }
        let two = [compressed(b"one ", 3), compressed(b"two", 3)].concat();
        assert_eq!(inflated(&two).unwrap(), b"one two");
    }

    #[test]
    fn more_than_a_message_is_refused() {
        let most = vec![0; MAX_MESSAGE_SIZE + 1];
        assert!(inflated(&compressed(&most[1..], 3)).unwrap() == most[1..]);
        let larger = compressed(&most, 3);
        // A header has at most 18 bytes; the frame could not be inflated without the others.
        for frame in [&larger[..], &larger[..18], &zeros(400)] {
            let error = inflated(frame).unwrap_err();
            assert!(error.to_string().contains("48000000"), "{error}");
        }
    }

    #[test]
    fn other_data_is_an_error() {
        let whole = compressed(b"a message", 3);
        for data in [&b"no frame"[..], &whole[..whole.len() - 1], &whole[..5]] {
            assert!(inflated(data).is_err());
        }
    }
}
