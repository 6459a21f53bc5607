# @TEST-DOC: A relay that names its far end, in ASCII or UTF-16, or itself; what only looks like it does not. No signature match is logged.
#
# @TEST-EXEC: zeek -C -r $TRACES/relays.pcap $PACKAGE %INPUT >output
# @TEST-EXEC: test ! -e signatures.log
# @TEST-EXEC: btest-diff output

hook Hopscope::connection_ready(rec: Hopscope::Connection)
	{
	print rec$resp_p, rec?$leaked_far_end ? rec$leaked_far_end : "-",
	    rec?$ssh_server ? rec$ssh_server : "-";
	}
