//! Opening a body, whole or chunk by chunk.

use std::ops::Range;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use super::super::{Context, Key, SealBroken};
use super::{HEADER_LEN, Layout, Message, SALT_LEN};

/// Opens a body that is in memory: all of it, or nothing.
pub fn open(
    key: &Key,
    context: &Context,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealBroken> {
    let (header, _) = ciphertext.split_first_chunk().ok_or(SealBroken)?;
    let opener = Opener::new(key, context, header, ciphertext.len() as u64)?;
    let length = usize::try_from(opener.layout().plaintext_len()).map_err(|_| SealBroken)?;
    let mut plaintext = Zeroizing::new(Vec::with_capacity(length));
    for number in 0..=opener.layout().last_chunk() {
        let chunk = opener.layout().chunk(number).and_then(bounds).ok_or(SealBroken)?;
        opener.open_chunk(number, &ciphertext[chunk], &mut plaintext)?;
    }
    Ok(plaintext)
}

fn bounds(range: Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

/// Opens the chunks of one body, in any order and any number of them.
///
/// A chunk that opens is what was sealed at its place. That the length is right too, so that
/// nothing was cut from the end, is known once the last chunk has opened.
pub struct Opener {
    message: Message,
    layout: Layout,
}

impl Opener {
    /// Checks the header of a sealed body of `sealed_len` bytes.
    pub fn new(
        key: &Key,
        context: &Context,
        header: &[u8; HEADER_LEN],
        ciphertext_len: u64,
    ) -> Result<Self, SealBroken> {
        let layout = Layout::of_ciphertext(ciphertext_len)?;
        let (salt, commitment) = header.split_first_chunk::<SALT_LEN>().ok_or(SealBroken)?;
        let message = Message::derive(key, context, salt).map_err(|_| SealBroken)?;
        verify_slices_are_equal(commitment, &message.commitment).map_err(|_| SealBroken)?;
        Ok(Self { message, layout })
    }

    /// Where the chunks lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Opens the chunk of that number and appends its content; appends nothing where it is broken.
    pub fn open_chunk(
        &self,
        number: u64,
        ciphertext: &[u8],
        plaintext: &mut Vec<u8>,
    ) -> Result<(), SealBroken> {
        let place = self.layout.chunk(number).ok_or(SealBroken)?;
        if ciphertext.len() as u64 != place.end - place.start {
            return Err(SealBroken);
        }
        self.message.open_chunk(number, ciphertext, plaintext)
    }
}
