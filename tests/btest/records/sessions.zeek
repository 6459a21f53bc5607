# @TEST-DOC: Replies of a plain session, and the starts of payload after silence where they are asked for.
#
# @TEST-EXEC: zeek -C -r $TRACES/session.pcap $PACKAGE $SCRIPTS/seconds.zeek %INPUT >output
# @TEST-EXEC: zeek -C -r $TRACES/session.pcap $PACKAGE $SCRIPTS/seconds.zeek %INPUT Hopscope::on_starts=T >>output
# @TEST-EXEC: zeek -C -r $TRACES/session.pcap $PACKAGE $SCRIPTS/seconds.zeek %INPUT Hopscope::session_payloads=0 >>output
# @TEST-EXEC: btest-diff output

hook Hopscope::connection_ready(rec: Hopscope::Connection)
	{
	print seconds(rec$first_reply), rec?$replies ? fmt("%d %s", rec$replies,
	    seconds(rec$reply_p10)) : "-";
	print "  ", rec?$on_starts ? cat(rec$on_starts) : "-";
	}
