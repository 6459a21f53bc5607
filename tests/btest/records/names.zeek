# @TEST-DOC: DNS queries: answered, answered without an answer, refused, not answered; a name that isn't text is escaped.
#
# @TEST-EXEC: zeek -C -r $TRACES/names.pcap $PACKAGE $SCRIPTS/seconds.zeek %INPUT >output
# @TEST-EXEC: btest-diff output

hook Hopscope::dns_query_ready(rec: Hopscope::DnsQuery)
	{
	print rec$ts, rec$client, rec$resolver, rec$query, rec$qtype;
	print "  ", rec?$rcode ? rec$rcode : "-", rec?$rtt ? seconds(rec$rtt) : "-",
	    rec?$answers ? cat(rec$answers) : "-", rec?$ttls ? cat(rec$ttls) :
	    "-";
	}
