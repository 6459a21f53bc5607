# @TEST-DOC: More connections in an interval than are kept for segments: the rest is told at its end, and that is reported once.
#
# @TEST-EXEC: zeek -C -r $TRACES/long.pcap $PACKAGE $SCRIPTS/seconds.zeek %INPUT >output 2>warnings
# @TEST-EXEC: btest-diff output
# @TEST-EXEC: grep Hopscope warnings >reported
# @TEST-EXEC: btest-diff reported

module Hopscope;

# The TCP connection comes first, and takes all room there is.
event new_connection(c: connection)
	{
	while ( c$conn$proto == tcp && |young| < young_at_most )
		young += c$id;
	}

hook connection_ready(rec: Connection)
	{
	print rec$proto, rec$seg, seconds(rec$seg_end - rec$ts), rec$final;
	}
