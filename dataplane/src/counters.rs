//! Counters of a lane: SNMP groups by their names (RFC 2011, 2013; `net/ipv4/proc.c`), drop reasons, hot-path facts.
//!
//! Plain numbers that one lane owns. The lane publishes them at the end of a turn; nobody else writes.

use crate::drop::DropReason;
use crate::named::named_enum;

named_enum! {
    /// SNMP counters and a few of Linux's extensions (`IpExt`, `Arp`).
    #[allow(missing_docs)] // the names are those of the MIBs and of /proc/net/snmp
    pub enum Snmp {
        IpInReceives,
        IpInHdrErrors,
        IpInAddrErrors,
        IpForwDatagrams,
        IpInUnknownProtos,
        IpInDiscards,
        IpInDelivers,
        IpOutRequests,
        IpOutDiscards,
        IpOutNoRoutes,
        IpReasmReqds,
        IpReasmFails,
        IpFragOKs,
        IpFragFails,
        IpFragCreates,
        IpInTruncatedPkts,
        IpInCsumErrors,
        IpInBcastPkts,
        IpOutBcastPkts,
        IpInMcastPkts,
        IpOutMcastPkts,
        IcmpInMsgs,
        IcmpInErrors,
        IcmpInCsumErrors,
        IcmpInDestUnreachs,
        IcmpInTimeExcds,
        IcmpInParmProbs,
        IcmpInSrcQuenchs,
        IcmpInRedirects,
        IcmpInEchos,
        IcmpInEchoReps,
        IcmpInTimestamps,
        IcmpInTimestampReps,
        IcmpInAddrMasks,
        IcmpInAddrMaskReps,
        IcmpOutMsgs,
        IcmpOutErrors,
        IcmpOutRateLimited,
        IcmpOutDestUnreachs,
        IcmpOutTimeExcds,
        IcmpOutParmProbs,
        IcmpOutEchoReps,
        UdpInDatagrams,
        UdpNoPorts,
        UdpInErrors,
        UdpOutDatagrams,
        UdpRcvbufErrors,
        UdpSndbufErrors,
        UdpInCsumErrors,
        TcpInSegs,
        TcpInErrs,
        TcpInCsumErrors,
        TcpAttemptFails,
        TcpEstabResets,
        TcpUrgentPointers,
        TcpExtTCPHPHits,
        TcpExtTCPHPAcks,
        TcpExtTCPPureAcks,
        TcpExtPAWSEstab,
        TcpExtTCPSYNChallenge,
        TcpExtTCPChallengeACK,
        TcpExtTCPACKSkippedSeq,
        TcpExtDelayedACKLost,
        TcpExtTCPDSACKOldSent,
        TcpExtTCPDSACKOfoSent,
        TcpExtTCPDSACKRecv,
        TcpExtTCPSACKDiscard,
        TcpExtTCPZeroWindowDrop,
        TcpExtTCPRcvQDrop,
        TcpExtTCPOFOQueue,
        TcpExtTCPOFODrop,
        TcpExtTCPAbortOnData,
        TcpExtTCPAbortOnLinger,
        TcpActiveOpens,
        TcpPassiveOpens,
        TcpOutSegs,
        TcpOutRsts,
        TcpRetransSegs,
        TcpExtSyncookiesSent,
        TcpExtSyncookiesRecv,
        TcpExtSyncookiesFailed,
        TcpExtEmbryonicRsts,
        TcpExtOutOfWindowIcmps,
        TcpExtTW,
        TcpExtTWRecycled,
        TcpExtPAWSActive,
        TcpExtListenOverflows,
        TcpExtListenDrops,
        TcpExtTCPTimeWaitOverflow,
        TcpExtTCPReqQFullDoCookies,
        TcpExtTCPReqQFullDrop,
        TcpExtTCPDeferAcceptDrop,
        TcpExtTCPFastOpenActive,
        TcpExtTCPFastOpenActiveFail,
        TcpExtTCPFastOpenPassive,
        TcpExtTCPFastOpenPassiveFail,
        TcpExtTCPFastOpenPassiveAltKey,
        TcpExtTCPFastOpenListenOverflow,
        TcpExtTCPFastOpenCookieReqd,
        TcpExtTCPFastOpenBlackhole,
        TcpExtTCPSynRetrans,
        TcpExtTCPACKSkippedSynRecv,
        TcpExtTCPACKSkippedFinWait2,
        TcpExtTCPACKSkippedTimeWait,
        ArpInRequests,
        ArpInReplies,
        ArpOutRequests,
        ArpOutReplies,
        NeighbourFailures,
        RouteCacheHits,
        RouteCacheMisses,
        HandoverOut,
        HandoverIn,
        TcpExtDelayedACKs,
        TcpExtTCPTimeouts,
        TcpExtTCPLossProbes,
        TcpExtTCPFastRetrans,
        TcpExtTCPSlowStartRetrans,
        TcpExtTCPRetransFail,
        TcpExtTCPOrigDataSent,
        TcpExtTCPWinProbe,
        TcpExtTCPKeepAlive,
        TcpExtTCPFromZeroWindowAdv,
        TcpExtTCPToZeroWindowAdv,
        TcpExtTCPWantZeroWindowAdv,
        TcpExtTCPAbortOnClose,
        TcpExtTCPAbortOnTimeout,
        TcpExtTCPAbortOnMemory,
        TcpExtTCPMTUPSuccess,
        TcpExtTCPMTUPFail,
        TcpIdleMemoryGivenBack,
    }
}

/// All counters of one lane.
#[derive(Clone, Debug)]
pub struct Counters {
    snmp: [u64; Snmp::COUNT],
    drops: [u64; DropReason::COUNT],
}

impl Default for Counters {
    fn default() -> Self {
        Self { snmp: [0; Snmp::COUNT], drops: [0; DropReason::COUNT] }
    }
}

impl Counters {
    /// One more of `counter`.
    #[inline]
    pub fn inc(&mut self, counter: Snmp) {
        self.snmp[counter.index()] += 1;
    }

    /// `n` more of `counter`.
    #[inline]
    pub fn add(&mut self, counter: Snmp, n: u64) {
        self.snmp[counter.index()] += n;
    }

    /// One more packet dropped for `reason`.
    #[inline]
    pub fn dropped(&mut self, reason: DropReason) {
        self.drops[reason.index()] += 1;
    }

    /// The value of `counter`.
    pub fn snmp(&self, counter: Snmp) -> u64 {
        self.snmp[counter.index()]
    }

    /// Packets dropped for `reason`.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops[reason.index()]
    }

    /// Packets dropped for any reason.
    pub fn drops_total(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// SNMP values, then drops, in the order of [`names`]; what the lane publishes.
    pub fn values(&self) -> impl Iterator<Item = u64> + '_ {
        self.snmp.iter().chain(&self.drops).copied()
    }
}

/// How many values [`Counters::values`] yields.
pub const COUNTER_VALUES: usize = Snmp::COUNT + DropReason::COUNT;

/// The name of each value of [`Counters::values`]; drops are written `drop.Reason`.
pub fn names() -> impl Iterator<Item = String> {
    let snmp = Snmp::ALL.iter().map(|c| c.name().to_string());
    snmp.chain(DropReason::ALL.iter().map(|r| format!("drop.{}", r.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_line_up() {
        let mut counters = Counters::default();
        counters.inc(Snmp::UdpNoPorts);
        counters.dropped(DropReason::QdiscFull);
        counters.dropped(DropReason::QdiscFull);
        let shown: Vec<_> = names().zip(counters.values()).filter(|(_, v)| *v != 0).collect();
        assert_eq!(shown, [("UdpNoPorts".to_string(), 1), ("drop.QdiscFull".to_string(), 2)]);
        assert_eq!(names().count(), COUNTER_VALUES);
    }
}
