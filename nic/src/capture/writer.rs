//! Records into pcapng.

use super::queue::Record;
use super::{CaptureFile, CaptureQueue, Direction};
use crate::Duration;
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption};
use std::borrow::Cow;
use std::io;

/// Bytes gathered before they are handed to the file: a write large enough that its cost is that of its bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// Records taken in one turn, so that a turn ends also while lanes keep filling.
const TURN_RECORDS_MAX: usize = 16 * 1024;

/// `if_tsresol`: time stamps in nanoseconds.
const TSRESOL_NANOSECONDS: u8 = 9;

/// What a capture came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureSummary {
    /// Frames written.
    pub frames: u64,
    /// Frames that found no empty record.
    pub dropped: u64,
    /// Length of the file.
    pub bytes: u64,
    /// What the operator should know of how it was written, if anything.
    pub notice: Option<String>,
}

/// Takes records out of a queue and writes them as pcapng. Runs off the lanes: on a [`super::CaptureThread`], or by
/// hand between the steps of a test.
pub struct CaptureWriter {
    queue: CaptureQueue,
    format: PcapNgWriter<Vec<u8>>,
    file: CaptureFile,
    epoch_nanos: u64,
    last_nanos: u64,
    frames: u64,
}

impl CaptureWriter {
    /// Starts a capture. `epoch_nanos` is the Unix time, in nanoseconds, of the lanes' `Instant::ZERO`: the difference
    /// of the two clocks, or zero for virtual time.
    ///
    /// # Errors
    /// Those of the format, which cannot fail into memory.
    pub fn new(queue: CaptureQueue, file: CaptureFile, epoch_nanos: u64) -> io::Result<Self> {
        let mut format = PcapNgWriter::new(Vec::with_capacity(CHUNK_BYTES * 2)).map_err(io::Error::other)?;
        for interface in queue.interfaces() {
            let block = InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: queue.snaplen() as u32,
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Borrowed(&interface.name)),
                    InterfaceDescriptionOption::IfMacAddr(Cow::Borrowed(&interface.mac.0)),
                    InterfaceDescriptionOption::IfTsResol(TSRESOL_NANOSECONDS),
                ],
            };
            format.write_pcapng_block(block).map_err(io::Error::other)?;
        }
        Ok(Self { queue, format, file, epoch_nanos, last_nanos: epoch_nanos, frames: 0 })
    }

    /// Writes what waits and answers how many frames that were. Bounded by `TURN_RECORDS_MAX`.
    ///
    /// # Errors
    /// Those of the file; the capture cannot go on after one.
    pub fn turn(&mut self) -> io::Result<usize> {
        let mut count = 0;
        while count < TURN_RECORDS_MAX {
            let (format, epoch, last) = (&mut self.format, self.epoch_nanos, &mut self.last_nanos);
            let mut written = Ok(());
            let waited = self.queue.take(|record| {
                *last = epoch.saturating_add(record.at.as_nanos());
                written = write_record(format, record, *last);
            });
            written?;
            if !waited {
                break;
            }
            count += 1;
            if self.format.get_ref().len() >= CHUNK_BYTES {
                self.hand_over()?;
            }
        }
        self.frames += count as u64;
        self.hand_over()?;
        Ok(count)
    }

    /// Ends the capture: closes the taps, writes what they left and the statistics, and waits for the disk.
    ///
    /// # Errors
    /// Those of the file.
    pub fn finish(mut self) -> io::Result<CaptureSummary> {
        Ok(self.finish_into()?.0)
    }

    /// As [`CaptureWriter::finish`], answering also the bytes of a capture into memory (empty for a file).
    ///
    /// # Errors
    /// Those of the file.
    pub fn finish_into(&mut self) -> io::Result<(CaptureSummary, Vec<u8>)> {
        self.queue.close();
        while self.turn()? > 0 {}
        let mut dropped = 0;
        for index in 0..self.queue.interfaces().len() {
            dropped += self.write_statistics(index)?;
        }
        self.hand_over()?;
        let bytes = self.file.finish()?;
        let notice = self.file.notice().map(str::to_owned);
        let memory = self.file.take_memory();
        Ok((CaptureSummary { frames: self.frames, dropped, bytes, notice }, memory))
    }

    fn write_statistics(&mut self, index: usize) -> io::Result<u64> {
        let (captured, dropped) = self.queue.counts(index);
        // The crate writes the time as one number where pcapng wants the high word first.
        let timestamp = if cfg!(target_endian = "little") { self.last_nanos.rotate_left(32) } else { self.last_nanos };
        let options = vec![
            InterfaceStatisticsOption::IsbIfRecv(captured + dropped),
            InterfaceStatisticsOption::IsbIfDrop(dropped),
        ];
        let block = InterfaceStatisticsBlock { interface_id: index as u32, timestamp, options };
        self.format.write_pcapng_block(block).map_err(io::Error::other)?;
        Ok(dropped)
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.format.get_ref().is_empty() {
            return Ok(());
        }
        let fresh = self.file.spare().unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES * 2));
        let chunk = std::mem::replace(self.format.get_mut(), fresh);
        self.file.write(chunk)
    }
}

fn write_record(format: &mut PcapNgWriter<Vec<u8>>, record: &Record, nanos: u64) -> io::Result<()> {
    // The two lowest bits of `epb_flags`: 01 inbound, 10 outbound.
    let flags = match record.direction {
        Direction::Inbound => 1,
        Direction::Outbound => 2,
    };
    let block = EnhancedPacketBlock {
        interface_id: record.interface,
        timestamp: Duration::from_nanos(nanos),
        original_len: record.original_len,
        data: Cow::Borrowed(&record.data),
        options: vec![EnhancedPacketOption::Flags(flags)],
    };
    format.write_pcapng_block(block).map(drop).map_err(io::Error::other)
}
