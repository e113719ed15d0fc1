//! UTF-8 decoding, and the policy for invalid bytes.

use std::borrow::Cow;

/// Policy for strings that are not valid UTF-8: PyMongo's `unicode_decode_error_handler`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextPolicy {
    /// Fail with a DecodeError.
    #[default]
    Strict,
    /// Replace each invalid part by U+FFFD, like Python's `errors="replace"`.
    Replace,
    /// Omit invalid bytes, like Python's `errors="ignore"`.
    Ignore,
}

/// Text is not UTF-8 under the strict policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidText {
    /// Number of bytes before the first invalid one.
    pub valid_up_to: usize,
}

impl TextPolicy {
    /// Decodes `bytes` under this policy.
    ///
    /// # Errors
    /// [`InvalidText`] when the policy is strict and `bytes` is not UTF-8.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, str>, InvalidText> {
        match simdutf8::compat::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(error) => match self {
                TextPolicy::Strict => Err(InvalidText {
                    valid_up_to: error.valid_up_to(),
                }),
                TextPolicy::Replace => Ok(String::from_utf8_lossy(bytes)),
                TextPolicy::Ignore => {
                    let kept = bytes.utf8_chunks().map(|chunk| chunk.valid());
                    Ok(Cow::Owned(kept.collect()))
                }
            },
        }
    }
}
