//! zlib, for the driver: inflating ends at the size that a message may have. A zlib stream does not state its size.

#[path = "../../limit.rs"]
mod limit;

/// A level of compression, 0 (none) to 9 (the smallest result).
#[derive(Clone, Copy)]
pub struct Compression(u8);

impl Compression {
    /// The level; a larger one than 9 means 9.
    pub fn new(level: u32) -> Self {
        Self(u8::try_from(level).unwrap_or(9).min(9))
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self(6)
    }
}

/// Streams that are written to. They hold what is written until they are finished: the driver writes one message.
pub mod write {
    use super::{limit, Compression};
    use miniz_oxide::deflate::compress_to_vec_zlib;
    use miniz_oxide::inflate::{decompress_to_vec_zlib_with_limit, TINFLStatus};
    use std::io::{self, Write};

    /// Compresses what is written to it.
    pub struct ZlibEncoder<W: Write> {
        target: W,
        data: Vec<u8>,
        level: Compression,
    }

    impl<W: Write> ZlibEncoder<W> {
        /// Compressed data goes to `target`.
        pub fn new(target: W, level: Compression) -> Self {
            let data = Vec::new();
            Self {
                target,
                data,
                level,
            }
        }

        /// Compress what was written, and return the target.
        ///
        /// # Errors
        /// Those of the target.
        pub fn finish(mut self) -> io::Result<W> {
            self.target
                .write_all(&compress_to_vec_zlib(&self.data, self.level.0))?;
            Ok(self.target)
        }
    }

    impl<W: Write> Write for ZlibEncoder<W> {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.data.write(data)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Inflates what is written to it.
    pub struct ZlibDecoder<W: Write> {
        target: W,
        data: Vec<u8>,
    }

    impl<W: Write> ZlibDecoder<W> {
        /// Inflated data goes to `target`.
        pub fn new(target: W) -> Self {
            let data = Vec::new();
            Self { target, data }
        }

        /// Inflate what was written, and return the target.
        ///
        /// # Errors
        /// For data that is no zlib stream or more than a message; those of the target.
        pub fn finish(mut self) -> io::Result<W> {
            let found = decompress_to_vec_zlib_with_limit(&self.data, limit::MAX_MESSAGE_SIZE);
            let found = found.map_err(|error| match error.status {
                TINFLStatus::HasMoreOutput => limit::too_large(),
                _ => io::Error::new(io::ErrorKind::InvalidData, error),
            })?;
            self.target.write_all(&found)?;
            Ok(self.target)
        }
    }

    impl<W: Write> Write for ZlibDecoder<W> {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.data.write(data)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // tests fail by panicking
    use super::limit::MAX_MESSAGE_SIZE;
    use super::write::{ZlibDecoder, ZlibEncoder};
    use super::Compression;
    use std::io::{self, Write};

    fn compressed(data: &[u8], level: Compression) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), level);
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(data: &[u8]) -> io::Result<Vec<u8>> {
        let mut decoder = ZlibDecoder::new(Vec::new());
        decoder.write_all(data)?;
        decoder.finish()
    }

    #[test]
    fn messages_come_back() {
        for data in [&b""[..], &b"a message, a message, another".repeat(1000)] {
            for level in [
                Compression::default(),
                Compression::new(0),
                Compression::new(99),
            ] {
                assert_eq!(inflated(&compressed(data, level)).unwrap(), data);
            }
        }
    }

    #[test]
    fn more_than_a_message_is_refused() {
        let zeros = vec![0; MAX_MESSAGE_SIZE + 1];
        let level = Compression::default();
        assert!(inflated(&compressed(&zeros[1..], level)).unwrap() == zeros[1..]);
        let error = inflated(&compressed(&zeros, level)).unwrap_err();
        assert!(error.to_string().contains("48000000"), "{error}");
    }

    #[test]
    fn other_data_is_an_error() {
        let whole = compressed(b"a message", Compression::default());
        for data in [&b""[..], b"no stream", &whole[..whole.len() - 1]] {
            assert!(inflated(data).is_err());
        }
    }
}
