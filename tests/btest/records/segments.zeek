# @TEST-DOC: A connection that lives long is told in segments on the 5-minute grid, each when the connection goes on after it; their parts sum up to the totals.
#
# @TEST-EXEC: zeek -C -r $TRACES/long.pcap $PACKAGE $SCRIPTS/seconds.zeek %INPUT >output
# @TEST-EXEC: btest-diff output

hook Hopscope::connection_ready(rec: Hopscope::Connection)
	{
	print rec$proto, rec$seg, seconds(rec$seg_end - rec$ts), rec$final,
	    rec$conn_state;
	print "  total", seconds(rec$duration), rec$orig_bytes, rec$resp_bytes,
	    rec$orig_pkts, rec$resp_pkts;
	print "  segment", rec$seg_orig_bytes, rec$seg_resp_bytes, rec$seg_orig_pkts,
	    rec$seg_resp_pkts;
	}
