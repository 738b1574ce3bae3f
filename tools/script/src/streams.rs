//! The program's side of stream sockets: what [`Client`] does with them.

use crate::client::Client;
use xmit_shared::Rubbish;
use xmit_shared::session::{Accepted, StreamEvents, StreamFlags, TcpInfo};
use xmit_shared::stream::ACCEPTED_BYTES;

impl Client {
    /// The slot was opened for a stream: rings begin anew.
    pub fn stream_opened(&mut self, slot: u32) {
        if let Some(slot) = self.slot(slot) {
            slot.stream_tx.restart();
            slot.stream_rx.restart();
        }
    }

    /// Writes as much of `data` as fits; answers how much. `more`: it need not be sent yet (`MSG_MORE`).
    ///
    /// # Errors
    /// If the lane's side holds rubbish.
    pub fn write(&mut self, slot: u32, data: &[u8], more: bool) -> Result<usize, Rubbish> {
        let Some(place) = self.slot(slot) else { return Ok(0) };
        let len = place.stream_tx.write(data)?;
        place.stream_tx.publish(more);
        if len > 0 {
            self.kick(slot);
        }
        Ok(len)
    }

    /// Writes `data`, the last byte of which is urgent (`MSG_OOB`).
    ///
    /// # Errors
    /// If the lane's side holds rubbish.
    pub fn write_urgent(&mut self, slot: u32, data: &[u8]) -> Result<usize, Rubbish> {
        let Some(place) = self.slot(slot) else { return Ok(0) };
        let len = place.stream_tx.write(data)?;
        place.stream_tx.publish_urgent();
        self.kick(slot);
        Ok(len)
    }

    /// Writes `data`, the end of a record (`MSG_EOR`). Nothing if its end has no place.
    ///
    /// # Errors
    /// If the lane's side holds rubbish.
    pub fn write_record(&mut self, slot: u32, data: &[u8]) -> Result<usize, Rubbish> {
        let Some(place) = self.slot(slot).filter(|place| place.stream_tx.has_record_room()) else { return Ok(0) };
        let len = place.stream_tx.write(data)?;
        if len == data.len() {
            place.stream_tx.publish_record();
        } else {
            place.stream_tx.publish(false);
        }
        self.kick(slot);
        Ok(len)
    }

    /// Sets `TCP_NODELAY` and `TCP_CORK`; uncorking pushes what waits.
    pub fn set_flags(&mut self, slot: u32, flags: StreamFlags, push: bool) {
        if let Some(place) = self.slot(slot) {
            place.stream_tx.set_flags(flags, push);
            self.kick(slot);
        }
    }

    /// Reads what has arrived, at most `out.len()` bytes; answers how many.
    ///
    /// # Errors
    /// If the lane's side holds rubbish.
    pub fn read(&mut self, slot: u32, out: &mut [u8]) -> Result<usize, Rubbish> {
        let Some(place) = self.slot(slot) else { return Ok(0) };
        place.stream_rx.available()?;
        let len = place.stream_rx.copy_at(0, out);
        if len > 0 && place.stream_rx.consume(len as u32) {
            self.kick(slot);
        }
        Ok(len)
    }

    /// The next connection that the listener in `slot` has, if one waits.
    ///
    /// # Errors
    /// If the lane's side holds rubbish.
    pub fn accept(&mut self, slot: u32) -> Result<Option<Accepted>, Rubbish> {
        let mut bytes = [0; ACCEPTED_BYTES];
        if self.read(slot, &mut bytes)? < ACCEPTED_BYTES {
            return Ok(None);
        }
        let accepted = Accepted::decode(&bytes);
        self.stream_opened(accepted.slot);
        Ok(Some(accepted))
    }

    /// How the stream stands.
    pub fn events(&mut self, slot: u32) -> StreamEvents {
        self.slot(slot).map_or(StreamEvents::default(), |place| StreamEvents(place.status.events()))
    }

    /// Bytes that the peer has not acknowledged, and those of them never sent.
    ///
    /// # Errors
    /// If the lane's side holds rubbish.
    pub fn outstanding(&mut self, slot: u32) -> Result<(u32, u32), Rubbish> {
        self.slot(slot).map_or(Ok((0, 0)), |place| place.stream_tx.outstanding())
    }

    /// Bytes that have arrived and were not read, and bytes of the ring that they stand in.
    ///
    /// # Errors
    /// If the lane's side holds rubbish.
    pub fn unread(&mut self, slot: u32) -> Result<(u32, u32), Rubbish> {
        let Some(place) = self.slot(slot) else { return Ok((0, 0)) };
        Ok((place.stream_rx.available()?, place.stream_rx.size()))
    }

    /// Bytes of the ring that is written to, as of the last look.
    pub fn send_size(&mut self, slot: u32) -> u32 {
        self.slot(slot).map_or(0, |place| place.stream_tx.size())
    }

    /// Urgent bytes so far, and where the last one stands from the next byte to read.
    pub fn urgent(&mut self, slot: u32) -> (u32, i32) {
        self.slot(slot).map_or((0, 0), |place| place.stream_rx.urgent())
    }

    /// `TCP_INFO`, after [`xmit_shared::session::Op::Info`] completed.
    pub fn info(&mut self, slot: u32) -> Option<TcpInfo> {
        self.slot(slot)?.stream_rx.info()
    }
}
