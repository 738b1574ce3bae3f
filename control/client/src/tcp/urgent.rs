//! The byte out of band (`MSG_OOB`): where it stands in the stream, and what was taken out of it.
//!
//! The lane leaves the urgent byte in the stream and marks its place. A read stops in front of it; the next one skips it, and it is kept
//! for `MSG_OOB`, unless `SO_OOBINLINE` wants it in its place. A second urgent byte turns the first into an ordinary one.

use xmit_shared::session::StreamReceiver;

/// What a socket knows of urgent bytes. Guarded by the lock of its receiving half.
#[derive(Debug, Default)]
pub(crate) struct Urgent {
    /// The count of the last byte that was skipped.
    skipped: u32,
    /// The count of the last byte that was read out of band.
    read: u32,
    /// The byte skipped last.
    kept: u8,
    pub(crate) inline: bool,
}

/// What `MSG_OOB` finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutOfBand {
    /// No urgent byte, or it was read already: `EINVAL`.
    Nothing,
    /// Announced, and not yet there: `EAGAIN`.
    Coming,
    Byte(u8),
}

impl Urgent {
    /// Bytes that the next read may take of `available`: up to the mark. Skips the urgent byte if the stream stands at it; the answer
    /// says whether the lane has to be told of that.
    pub(crate) fn readable(&mut self, rx: &mut StreamReceiver, available: u32) -> (u32, bool) {
        let (count, offset) = rx.urgent();
        if count == 0 || count == self.skipped || offset < 0 {
            return (available, false);
        }
        let offset = offset.cast_unsigned();
        if offset > 0 || available == 0 || self.inline {
            return (if offset > 0 { available.min(offset) } else { available }, false);
        }
        let mut byte = [0];
        rx.copy_at(0, &mut byte);
        [self.kept] = byte;
        self.skipped = count;
        let told = rx.consume(1);
        (available - 1, told)
    }

    /// What can be read out of band, of `available` bytes in the stream.
    pub(crate) fn out_of_band(&self, rx: &StreamReceiver, available: u32) -> OutOfBand {
        let (count, offset) = rx.urgent();
        if self.inline || count == 0 || count == self.read {
            return OutOfBand::Nothing;
        }
        if count == self.skipped {
            return OutOfBand::Byte(self.kept);
        }
        match u32::try_from(offset) {
            Err(_) => OutOfBand::Nothing,
            Ok(offset) if offset >= available => OutOfBand::Coming,
            Ok(offset) => {
                let mut byte = [0];
                rx.copy_at(offset, &mut byte);
                OutOfBand::Byte(byte[0])
            }
        }
    }

    /// What was urgent so far is no longer there.
    pub(crate) fn forget(&mut self, rx: &StreamReceiver) {
        self.skipped = rx.urgent().0;
        self.read = self.skipped;
    }

    /// The urgent byte was read.
    pub(crate) fn taken(&mut self, rx: &StreamReceiver) {
        self.read = rx.urgent().0;
    }

    /// `SIOCATMARK`: the next byte of the stream is the urgent one.
    pub(crate) fn at_mark(&self, rx: &StreamReceiver) -> bool {
        let (count, offset) = rx.urgent();
        count != 0 && ((count != self.skipped && offset == 0) || (count == self.skipped && offset == -1))
    }
}
