//! UTF-8, and what to do where it is not.

use std::borrow::Cow;

/// What to do with a string that is not valid UTF-8: PyMongo's `unicode_decode_error_handler`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextPolicy {
    /// A DecodeError.
    #[default]
    Strict,
    /// U+FFFD for each invalid part, as Python's `errors="replace"`.
    Replace,
    /// Invalid bytes are left out, as Python's `errors="ignore"`.
    Ignore,
}

/// Text is not UTF-8 and the policy is strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidText {
    /// Bytes before the first invalid one.
    pub valid_up_to: usize,
}

impl TextPolicy {
    /// `bytes` as text under this policy.
    ///
    /// # Errors
    /// [`InvalidText`] when strict and `bytes` is not UTF-8.
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
