//! Step 6 of RFC 9293 section 3.10.7.4: the urgent pointer (`tcp_urg`, `tcp_check_urg`; RFC 6093).

use crate::counters::Snmp;
use crate::tcp::commons::Ctx;
use crate::tcp::connection::Connection;
use crate::tcp::segment::Segment;
use crate::wire::tcp::Flags;

impl Connection {
    /// Notes where the urgent byte is; the byte itself comes with the data. As Linux and BSD have it the pointer stands behind the byte,
    /// unless `tcp_stdurg` is set (RFC 6093 section 2.1). A pointer of 0 means the first byte either way.
    pub(super) fn check_urgent(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) {
        if !segment.flags.contains(Flags::URG) {
            return;
        }
        let on_the_byte = segment.urgent == 0 || ctx.commons.settings.stdurg;
        let behind = segment.seq + u32::from(segment.urgent) + u32::from(on_the_byte);
        let stale = behind.at_or_before(self.receive.nxt)
            || self.receive.urgent.is_some_and(|known| behind.at_or_before(known));
        if stale {
            return;
        }
        let offset = behind.since(self.receive.nxt);
        let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) else { return };
        // One beyond the ring cannot be announced; the peer's pointer moves on with its data.
        if offset > end.rx_size(owner.slot) {
            return;
        }
        ctx.net.counters.inc(Snmp::TcpUrgentPointers);
        self.receive.urgent = Some(behind);
        self.prediction = super::established::UNPREDICTED;
        end.rx_urgent(owner.slot, offset);
    }
}
