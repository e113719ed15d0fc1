//! Snappy, for the driver: a block that states more bytes than a message may have is refused.

#[path = "../../limit.rs"]
mod limit;

/// Blocks without a frame.
pub mod raw {
    use super::limit;
    use std::io;

    fn invalid(error: codec::Error) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    /// Compresses blocks.
    pub struct Encoder(codec::Encoder);

    impl Encoder {
        /// An encoder, for any number of blocks.
        #[allow(clippy::new_without_default)] // the driver needs none
        pub fn new() -> Self {
            Self(codec::Encoder::new())
        }

        /// Return the compressed block.
        ///
        /// # Errors
        /// For more than 4 GiB.
        pub fn compress_vec(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
            self.0.compress_vec(data).map_err(invalid)
        }
    }

    /// Inflates blocks.
    pub struct Decoder(codec::Decoder);

    impl Decoder {
        /// A decoder, for any number of blocks.
        #[allow(clippy::new_without_default)] // the driver needs none
        pub fn new() -> Self {
            Self(codec::Decoder::new())
        }

        /// Return the inflated block.
        ///
        /// # Errors
        /// For data that is no Snappy block, and before it is inflated for a block that states more bytes than a message
        /// may have.
        pub fn decompress_vec(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
            if codec::decompress_len(data).map_err(invalid)? > limit::MAX_MESSAGE_SIZE {
                return Err(limit::too_large());
            }
            self.0.decompress_vec(data).map_err(invalid)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // tests fail by panicking
    use super::limit::MAX_MESSAGE_SIZE;
    use super::raw::{Decoder, Encoder};

    #[test]
    fn messages_come_back() {
        for data in [&b""[..], &b"a message, a message, another".repeat(1000)] {
            let block = Encoder::new().compress_vec(data).unwrap();
            assert_eq!(Decoder::new().decompress_vec(&block).unwrap(), data);
        }
    }

    #[test]
    fn more_than_a_message_is_refused() {
        let zeros = vec![0; MAX_MESSAGE_SIZE + 1];
        let largest = Encoder::new().compress_vec(&zeros[1..]).unwrap();
        assert!(Decoder::new().decompress_vec(&largest).unwrap() == zeros[1..]);
        let larger = Encoder::new().compress_vec(&zeros).unwrap();
        // Four bytes state the size; the block could not be inflated without the others.
        for block in [&larger[..], &larger[..4]] {
            let error = Decoder::new().decompress_vec(block).unwrap_err();
            assert!(error.to_string().contains("48000000"), "{error}");
        }
    }

    #[test]
    fn other_data_is_an_error() {
        let whole = Encoder::new().compress_vec(b"a message").unwrap();
        for data in [
            &b""[..],
            b"\xff\xff\xff\xff\xff\xff",
            &whole[..whole.len() - 1],
        ] {
            assert!(Decoder::new().decompress_vec(data).is_err());
        }
    }
}
