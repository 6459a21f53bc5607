# @TEST-DOC: A connection whose start wasn't seen, or one side of which is seen, is told in segments too.
#
# @TEST-EXEC: zeek -C -r $TRACES/midstream.pcap $PACKAGE $SCRIPTS/seconds.zeek %INPUT >output
# @TEST-EXEC: btest-diff output

hook Hopscope::connection_ready(rec: Hopscope::Connection)
	{
	print rec$orig_p, rec$resp_p, rec$seg, seconds(rec$seg_end - rec$ts),
	    rec$final, rec$conn_state;
	}
