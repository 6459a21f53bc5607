# @TEST-DOC: Who speaks first and when it is answered; not where a request took several segments or was sent again. A SYN sent again gives no round trip, and nothing of it is told where the SYN was missed.
#
# @TEST-EXEC: zeek -C -r $TRACES/opening.pcap $PACKAGE $SCRIPTS/seconds.zeek %INPUT >output
# @TEST-EXEC: btest-diff output

hook Hopscope::connection_ready(rec: Hopscope::Connection)
	{
	print rec$resp_p;
	print "  handshake", rec?$tcp_rtt ? seconds(rec$tcp_rtt) : "-", rec?$client_rtt ?
	    seconds(rec$client_rtt) : "-";
	print "  first", rec?$first_speaker ? rec$first_speaker : "-", rec?$pause ?
	    seconds(rec$pause) : "-", rec?$first_reply ? seconds(
	    rec$first_reply) : "-";
	print "  later", rec?$replies ? fmt("%d %s", rec$replies, seconds(
	    rec$reply_p10)) : "-", rec?$close_rtt ? seconds(rec$close_rtt) :
	    "-";
	if ( rec?$first_len )
		print "  shape", rec$first_len, rec$first_bits, rec$first_printable,
		    rec$first_run, rec$first_head_printable;
	}
