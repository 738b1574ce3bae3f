use super::*;
use crate::pool::Census;
use crate::rng::Rng;
use crate::sim::{Impairment, Wire};
use crate::{Burst, Duration, Instant, MacAddr, Pool, Port};
use pcap_file::pcapng::PcapNgReader;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use std::path::PathBuf;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);
/// A Unix time like today's, so that time stamps need both of their words.
const EPOCH: u64 = 1_770_000_000_123_456_789;

/// A directory of the test's own, removed when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("xmit-capture-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn queue(records: usize, snaplen: usize) -> CaptureQueue {
    CaptureQueue::new(vec![CaptureInterface { name: "sim0".into(), mac: MAC }], records, snaplen)
}

/// Frames of every length from 14 on, with their times and directions.
fn traffic(count: u64) -> Vec<(Instant, Direction, Vec<u8>)> {
    let direction = |n| if n % 2 == 0 { Direction::Inbound } else { Direction::Outbound };
    (0..count).map(|n| (Instant::from_micros(n * 7 + 1), direction(n), vec![n as u8; 14 + n as usize % 1500])).collect()
}

fn assert_same(file: &PcapFile, traffic: &[(Instant, Direction, Vec<u8>)], snaplen: usize) {
    assert_eq!(file.records().len(), traffic.len());
    for (record, (at, direction, bytes)) in file.records().iter().zip(traffic) {
        assert_eq!(record.nanos, EPOCH + at.as_nanos());
        assert_eq!(record.direction, Some(*direction));
        assert_eq!(record.original_len as usize, bytes.len());
        assert_eq!(file.data(record), &bytes[..bytes.len().min(snaplen)]);
    }
}

/// Captures `traffic` into `target` by hand, and answers what came of it.
fn capture(
    traffic: &[(Instant, Direction, Vec<u8>)],
    snaplen: usize,
    target: CaptureFile,
) -> (CaptureSummary, Vec<u8>) {
    let queue = queue(64, snaplen);
    let tap = queue.tap(0).unwrap();
    let mut writer = CaptureWriter::new(queue, target, EPOCH).unwrap();
    for (at, direction, bytes) in traffic {
        assert!(tap.offer(*at, *direction, bytes), "no record although the writer turns every 50 frames");
        if at.as_micros() % 50 == 0 {
            writer.turn().unwrap();
        }
    }
    let answer = writer.finish_into().unwrap();
    assert!(!tap.is_open());
    answer
}

#[test]
fn a_file_by_io_uring_reads_back_equal_and_in_order() {
    let scratch = Scratch::new("ring");
    let (path, traffic) = (scratch.file("a.pcapng"), traffic(4000));
    let (summary, _) = capture(&traffic, 2048, CaptureFile::create(&path).unwrap());
    assert_eq!((summary.frames, summary.dropped), (4000, 0));
    assert_eq!(summary.bytes, std::fs::metadata(&path).unwrap().len());
    assert_same(&PcapFile::open(&path).unwrap(), &traffic, 2048);
    if let Some(notice) = summary.notice {
        eprintln!("SKIPPED io_uring of a_file_by_io_uring_reads_back_equal_and_in_order: {notice}");
    }
}

#[test]
fn plain_writes_give_the_same_bytes_and_say_so() {
    let scratch = Scratch::new("plain");
    let (path, traffic) = (scratch.file("a.pcapng"), traffic(300));
    let file = std::fs::File::create(&path).unwrap();
    let (summary, _) = capture(&traffic, 96, CaptureFile::plain(file, "as if io_uring were forbidden"));
    assert_eq!(summary.notice.as_deref(), Some("as if io_uring were forbidden"));
    let (_, memory) = capture(&traffic, 96, CaptureFile::memory());
    assert_eq!(std::fs::read(&path).unwrap(), memory);
    assert_same(&PcapFile::parse(memory).unwrap(), &traffic, 96);
}

#[test]
fn the_interface_is_described() {
    let (_, bytes) = capture(&traffic(1), 2048, CaptureFile::memory());
    let mut reader = PcapNgReader::new(&bytes[..]).unwrap();
    while let Some(block) = reader.next_block() {
        block.unwrap();
    }
    let options = &reader.interfaces()[0].options;
    assert!(options.contains(&InterfaceDescriptionOption::IfName("sim0".into())));
    assert!(options.contains(&InterfaceDescriptionOption::IfMacAddr(MAC.0[..].into())));
    assert!(options.contains(&InterfaceDescriptionOption::IfTsResol(9)));
}

#[test]
fn other_programs_read_it_too() {
    let scratch = Scratch::new("tcpdump");
    let path = scratch.file("a.pcapng");
    capture(&traffic(10), 2048, CaptureFile::create(&path).unwrap());
    let Ok(out) = std::process::Command::new("tcpdump").args(["-nttr"]).arg(&path).output() else {
        eprintln!("SKIPPED other_programs_read_it_too: tcpdump is not installed");
        return;
    };
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(text.lines().filter(|l| l.starts_with("1770000000.123")).count(), 10, "{text}");
}

#[test]
fn without_empty_records_frames_are_counted_as_dropped() {
    let queue = queue(4, 64);
    let tap = queue.tap(0).unwrap();
    let offered = (0..10).filter(|_| tap.offer(Instant::ZERO, Direction::Inbound, &[0; 60])).count();
    assert_eq!((offered, tap.dropped()), (4, 6));
    let mut writer = CaptureWriter::new(queue, CaptureFile::memory(), 0).unwrap();
    assert_eq!(writer.turn().unwrap(), 4);
    assert!(tap.offer(Instant::ZERO, Direction::Inbound, &[0; 60]), "records come back");
    let summary = writer.finish().unwrap();
    assert_eq!((summary.frames, summary.dropped), (5, 6));
    assert!(!tap.offer(Instant::ZERO, Direction::Inbound, &[0; 60]));
    assert_eq!(tap.dropped(), 6, "a capture that ended drops nothing");
}

#[test]
fn a_thread_writes_what_another_offers() {
    let scratch = Scratch::new("thread");
    let (path, traffic) = (scratch.file("a.pcapng"), traffic(2000));
    let queue = queue(2000, 2048);
    let tap = queue.tap(0).unwrap();
    let writer = CaptureWriter::new(queue, CaptureFile::create(&path).unwrap(), EPOCH).unwrap();
    let thread = CaptureThread::spawn(writer).unwrap();
    assert!(traffic.iter().all(|(at, direction, bytes)| tap.offer(*at, *direction, bytes)));
    assert!(thread.is_running());
    assert_eq!(thread.stop().unwrap().frames, 2000);
    assert_same(&PcapFile::open(&path).unwrap(), &traffic, 2048);
}

#[test]
fn a_full_disk_is_an_error_of_the_capture() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("SKIPPED a_full_disk_is_an_error_of_the_capture: /dev/full does not exist");
        return;
    };
    let mut file = CaptureFile::from_file(full).unwrap();
    assert!(file.notice().unwrap().contains("regular file"));
    assert_eq!(file.write(vec![0; 10]).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    let missing = CaptureFile::create(std::path::Path::new("/nonexistent/a.pcapng")).err().unwrap();
    assert!(missing.to_string().contains("/nonexistent/a.pcapng"), "{missing}");
}

#[test]
fn a_port_is_captured_in_both_directions() {
    let wire = Wire::new(1).impair(Impairment { delay: Duration::from_millis(2), ..Impairment::NONE });
    let (a, mut b) = wire.ports().unwrap();
    let queue = queue(16, 2048);
    let mut a = CapturePort::new(Box::new(a), queue.tap(0).unwrap());
    let mut writer = CaptureWriter::new(queue, CaptureFile::memory(), 0).unwrap();
    let mut pool = Pool::anonymous(1, 8).unwrap();
    let (mut now, mut burst) = (Instant::from_millis(1), Burst::new());
    let mut frame = pool.acquire().unwrap();
    assert!(frame.fill(&[1; 60]));
    burst.push(frame);
    a.tx_burst(now, &mut pool, &mut burst);
    now += Duration::from_millis(2);
    b.rx_burst(now, &mut pool, &mut burst);
    b.tx_burst(now, &mut pool, &mut burst);
    now += Duration::from_millis(2);
    a.rx_burst(now, &mut pool, &mut burst);
    burst.drain(..).for_each(|f| pool.release(f));
    let file = PcapFile::parse(writer.finish_into().unwrap().1).unwrap();
    let seen: Vec<_> = file.records().iter().map(|r| (r.nanos, r.direction.unwrap())).collect();
    assert_eq!(seen, [(1_000_000, Direction::Outbound), (5_000_000, Direction::Inbound)]);
    assert_eq!(pool.census(), Census { free: 8, ..Census::default() });
}

#[test]
fn refused_frames_are_not_captured() {
    let queue = queue(4, 64);
    let tap = queue.tap(0).unwrap();
    let (kept, refused) = (tap.prepare(&[1; 20]).unwrap(), tap.prepare(&[2; 20]).unwrap());
    tap.commit(kept, Instant::ZERO, Direction::Outbound);
    tap.discard(refused);
    let mut writer = CaptureWriter::new(queue, CaptureFile::memory(), 0).unwrap();
    let file = PcapFile::parse(writer.finish_into().unwrap().1).unwrap();
    assert_eq!(file.records().len(), 1);
    assert_eq!(file.data(&file.records()[0]), [1; 20]);
}

#[test]
fn a_file_plays_by_its_time_stamps_or_at_once() {
    let (_, bytes) = capture(&traffic(5), 2048, CaptureFile::memory());
    let file = PcapFile::parse(bytes).unwrap();
    let mut pool = Pool::anonymous(1, 8).unwrap();
    let mut burst = Burst::new();
    let mut port = PcapPort::new("pcap0", MAC, file.clone(), Pace::Recorded, None);
    let mut now = Instant::from_millis(9);
    for n in 0..5u64 {
        assert_eq!(port.sleep(now).at, Some(Instant::from_millis(9) + Duration::from_micros(7 * n)));
        now = port.sleep(now).at.unwrap();
        port.rx_burst(now, &mut pool, &mut burst);
        assert_eq!(burst.len(), 1);
        pool.release(burst.remove(0));
    }
    assert!(port.is_finished() && port.sleep(now).at.is_none());
    let mut port = PcapPort::new("pcap0", MAC, file, Pace::Fastest, None);
    port.rx_burst(now, &mut pool, &mut burst);
    assert_eq!(burst.len(), 5);
    port.tx_burst(now, &mut pool, &mut burst);
    assert_eq!((port.stats().rx_packets, port.stats().tx_packets, pool.census().free), (5, 5, 8));
}

/// A pcap of microseconds with one packet of which 4 of 60 bytes were captured.
fn pcap_bytes(link: u8) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, link, 0, 0, 0];
    bytes.extend([9, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 60, 0, 0, 0, 1, 2, 3, 4]);
    bytes
}

#[test]
fn plain_pcap_is_read() {
    let file = PcapFile::parse(pcap_bytes(1)).unwrap();
    let record = &file.records()[0];
    assert_eq!((record.nanos, record.original_len, file.data(record)), (9_000_005_000, 60, &[1, 2, 3, 4][..]));
}

#[test]
fn microseconds_and_simple_packets_of_pcapng_are_read() {
    let words: &[u32] = &[
        0x0a0d_0d0a,
        28,
        0x1a2b_3c4d,
        1,
        u32::MAX,
        u32::MAX,
        28, // section header, little-endian
        1,
        20,
        1,
        0,
        20, // interface: Ethernet, no limit, no options, hence microseconds
        6,
        36,
        0,
        1,
        5,
        4,
        4,
        0x0403_0201,
        36, // enhanced packet at 2^32 + 5 microseconds
        99,
        16,
        0xdead_beef,
        16, // a block that nobody knows
        3,
        20,
        3,
        0x0007_0605,
        20, // simple packet of three bytes
    ];
    let file = PcapFile::parse(words.iter().flat_map(|w| w.to_le_bytes()).collect()).unwrap();
    let [enhanced, simple] = file.records() else { panic!("{:?}", file.records()) };
    assert_eq!((enhanced.nanos, file.data(enhanced)), (((1 << 32) + 5) * 1000, &[1, 2, 3, 4][..]));
    assert_eq!((simple.nanos, file.data(simple)), (enhanced.nanos, &[5, 6, 7][..]));
}

#[test]
fn malformed_files_say_where_and_what() {
    let text = |bytes: &[u8]| PcapFile::parse(bytes.to_vec()).unwrap_err().to_string();
    assert!(text(b"GIF89a").contains("neither pcap nor pcapng: the first four bytes are [47, 49, 46, 38]"));
    assert!(text(b"").contains("neither pcap nor pcapng"));
    assert!(text(&pcap_bytes(113)).contains("only Ethernet can be played"));
    let cut = pcap_bytes(1);
    assert!(text(&cut[..cut.len() - 1]).contains("malformed at byte 24 (packet 0): the file ends in the middle"));
    let missing = PcapFile::open(std::path::Path::new("/nonexistent.pcap")).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent.pcap cannot be read"), "{missing}");
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let (_, good) = capture(&traffic(6), 64, CaptureFile::memory());
    for (seed, base) in (0..2000).flat_map(|seed| [(seed, good.clone()), (seed, pcap_bytes(1))]) {
        let (mut rng, mut bytes) = (Rng::new(seed), base);
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.next_u64() as u8;
        }
        bytes.truncate(bytes.len() - rng.below(8) as usize);
        if let Ok(file) = PcapFile::parse(bytes) {
            assert!(file.records().iter().all(|r| file.data(r).len() <= 1 << 20), "seed {seed}");
        }
    }
}
