# @TEST-DOC: More connections in an interval than are kept for segments: the rest is told at its end, and that is reported once.
#
# @TEST-EXEC: zeek -C -r $TRACES/long.pcap $PACKAGE $SCRIPTS/seconds.zeek %INPUT Hopscope::young_at_most=1 >output 2>warnings
# @TEST-EXEC: btest-diff output
# @TEST-EXEC: grep Hopscope warnings >reported
# @TEST-EXEC: btest-diff reported

hook Hopscope::connection_ready(rec: Hopscope::Connection)
	{
	print rec$proto, rec$seg, seconds(rec$seg_end - rec$ts), rec$final;
	}
