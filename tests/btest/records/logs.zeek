# @TEST-DOC: Both logs carry each field of their record in its order; each can be switched off, and a policy hook can withhold lines.
#
# @TEST-EXEC: zeek -C -r $TRACES/names.pcap $PACKAGE %INPUT
# @TEST-EXEC: grep -v '^#open\|^#close' hopscope.log | sed 's/^[0-9].*zeek/...&/' >output
# @TEST-EXEC: cat hopscope_dns.log >>output
# @TEST-EXEC: rm hopscope.log hopscope_dns.log
# @TEST-EXEC: zeek -C -r $TRACES/names.pcap $PACKAGE %INPUT Hopscope::log_connections=F Hopscope::log_dns_queries=F
# @TEST-EXEC: test ! -e hopscope.log
# @TEST-EXEC: test ! -e hopscope_dns.log
# @TEST-EXEC: btest-diff output

hook Hopscope::log_policy(rec: Hopscope::Connection, id: Log::ID,
    filter: Log::Filter)
	{
	if ( rec$orig_p != 5001/udp )
		break;
	}
