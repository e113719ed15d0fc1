// A module of each of these crates, by `#[path]`.

use std::io;

/// The most bytes of a message: `maxMessageSizeBytes` of every server.
pub const MAX_MESSAGE_SIZE: usize = 48_000_000;

/// The error for a message of more than [`MAX_MESSAGE_SIZE`] bytes.
pub fn too_large() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("more than the {MAX_MESSAGE_SIZE} bytes of a message"),
    )
}
