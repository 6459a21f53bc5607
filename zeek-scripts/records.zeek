##! The records of hopscope: one for each connection (and each of its segments), one for each DNS query.
##!
##! Names, order and meaning are those of the analyzer's records; what Zeek can't tell is unset.

module Hopscope;

export {
	## A connection, or a segment of one that lives long; the line of hopscope.log.
	type Connection: record {
		## First packet of the connection.
		ts: time &log;
		## Unique and reproducible: the same capture gives the same uid.
		uid: string &log;
		## Name of the sensor that saw it.
		sensor: string &log;
		## Originator's address.
		orig_h: addr &log;
		## Originator's port; ICMP: the type.
		orig_p: port &log;
		## Responder's address.
		resp_h: addr &log;
		## Responder's port; ICMP: the code, or the type of the counterpart.
		resp_p: port &log;
		## Tcp, udp, icmp or unknown_transport.
		proto: string &log;
		## Application protocols by content, comma-separated, outer first; null when none.
		service: string &log &optional;
		## The originator lies in the monitored networks.
		local_orig: bool &log &optional;
		## The responder lies in the monitored networks.
		local_resp: bool &log &optional;
		## Uids of the enclosing tunnels, outermost first; null outside tunnels.
		tunnel_parents: vector of string &log &optional;
		## Number of the segment on the 5-minute grid from ts, 0 for the first.
		seg: count &log;
		## End of this segment: the grid's, or the last packet where the connection ends.
		seg_end: time &log;
		## This is the connection's last segment.
		final: bool &log;
		## First to last packet; null with a single packet.
		duration: interval &log &optional;
		## Payload from the originator; null when unknown.
		orig_bytes: count &log &optional;
		## Payload from the responder; null when unknown.
		resp_bytes: count &log &optional;
		## Packets from the originator.
		orig_pkts: count &log &optional;
		## Packets from the responder.
		resp_pkts: count &log &optional;
		## IP bytes from the originator, headers included.
		orig_ip_bytes: count &log &optional;
		## IP bytes from the responder, headers included.
		resp_ip_bytes: count &log &optional;
		## Payload that the sensor did not see.
		missed_bytes: count &log &optional;
		## S0, S1, SF, REJ, S2, S3, RSTO, RSTR, RSTOS0, RSTRH, SH, SHR or OTH, as Zeek's.
		conn_state: string &log &optional;
		## State history letters, as Zeek's.
		history: string &log &optional;
		## Orig_bytes of this segment alone.
		seg_orig_bytes: count &log &optional;
		## Resp_bytes of this segment alone.
		seg_resp_bytes: count &log &optional;
		## Orig_pkts of this segment alone.
		seg_orig_pkts: count &log &optional;
		## Resp_pkts of this segment alone.
		seg_resp_pkts: count &log &optional;
		## SYN to SYN-ACK, the way to the hop; null when a SYN was retransmitted.
		tcp_rtt: interval &log &optional;
		## SYN-ACK to ACK, our own side.
		client_rtt: interval &log &optional;
		## ClientHello to ServerHello.
		hello_rtt: interval &log &optional;
		## TLS client's Finished (its first encrypted handshake flight) to the responder's next TLS record: its Finished or a session ticket; the way to TLS's end without a dial; null when there is none or the client retransmitted.
		finished_rtt: interval &log &optional;
		## First originator payload to first responder payload; null when the responder spoke first.
		first_reply: interval &log &optional;
		## 10th percentile of the later replies' times; null without any.
		reply_p10: interval &log &optional;
		## Number of later replies; handshake tail and session tickets excluded.
		replies: count &log &optional;
		## Originator's FIN to the first payload or FIN that answers it; null when the responder closed first or the FIN was sent again.
		close_rtt: interval &log &optional;
		## ACK of the handshake to the first originator payload.
		pause: interval &log &optional;
		## Orig or resp: who sent payload first; null without payload.
		first_speaker: string &log &optional;
		## Length of the first originator payload.
		first_len: count &log &optional;
		## Mean of set bits per byte of the first originator payload.
		first_bits: double &log &optional;
		## Share of printable ASCII in the first originator payload.
		first_printable: double &log &optional;
		## Longest run of printable ASCII in the first originator payload.
		first_run: count &log &optional;
		## The first six bytes of the first originator payload are printable ASCII.
		first_head_printable: bool &log &optional;
		## Sizes of the first 25 TLS records after the handshake; from the responder negative.
		tls_sizes: vector of int &log &optional;
		## Server name the TLS or QUIC client asked for.
		sni: string &log &optional;
		## Application protocol the server chose, else the client's first offer.
		alpn: string &log &optional;
		## TLSv10 to TLSv13, SSLv3; the negotiated version.
		tls_version: string &log &optional;
		## JA4 fingerprint of the TLS client.
		ja4: string &log &optional;
		## ServerHello as version,cipher,extensions in order (hexadecimal, extensions joined by -).
		server_hello: string &log &optional;
		## Subject of the server's certificate (RFC 4514).
		cert_subject: string &log &optional;
		## Issuer of the server's certificate (RFC 4514).
		cert_issuer: string &log &optional;
		## SHA-256 of the server's certificate, hexadecimal.
		cert_sha256: string &log &optional;
		## Subject and issuer of the certificate are equal.
		cert_self_signed: bool &log &optional;
		## The TLS session was resumed.
		resumed: bool &log &optional;
		## SSH client's banner.
		ssh_client: string &log &optional;
		## SSH server's banner.
		ssh_server: string &log &optional;
		## SHA-256 of the SSH server's host key, hexadecimal.
		ssh_host_key: string &log &optional;
		## Host of the first HTTP request.
		http_host: string &log &optional;
		## Method of the first HTTP request.
		http_method: string &log &optional;
		## User-Agent of the first HTTP request.
		user_agent: string &log &optional;
		## Socks4, socks5 or http-connect, when the client asked the responder to relay.
		proxy_protocol: string &log &optional;
		## Host:port the client asked the proxy for.
		proxy_target: string &log &optional;
		## The proxy granted the request; null when its answer wasn't seen.
		proxy_accepted: bool &log &optional;
		## Host:port of the far end that a relay named in clear.
		leaked_far_end: string &log &optional;
		## Times from ts at which payload resumed after 0.5 s of silence; from the responder negative; of this segment.
		on_starts: vector of double &log &optional;
	};

	## A DNS query, answered or not; the line of hopscope_dns.log.
	type DnsQuery: record {
		## Time of the query (of the answer when the query wasn't seen).
		ts: time &log;
		## Uid of the connection that carried it.
		uid: string &log;
		## Name of the sensor that saw it.
		sensor: string &log;
		## Address that asked.
		client: addr &log;
		## Address that was asked.
		resolver: addr &log;
		## Name asked for, as sent, without the final dot.
		query: string &log &optional;
		## Type asked for: A, AAAA, PTR ....
		qtype: string &log &optional;
		## NOERROR, NXDOMAIN ...; null when unanswered.
		rcode: string &log &optional;
		## Answers in order, as Zeek writes them; null when none.
		answers: vector of string &log &optional;
		## Time to live of each answer; null when none.
		ttls: vector of interval &log &optional;
		## Query to answer; null when unanswered.
		rtt: interval &log &optional;
	};

	## A connection's record is complete: it is logged and sent by those who implement this hook.
	global connection_ready: hook(rec: Connection);

	## A DNS query's record is complete.
	global dns_query_ready: hook(rec: DnsQuery);
}
