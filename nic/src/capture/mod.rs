//! pcapng out, pcap and pcapng in.
