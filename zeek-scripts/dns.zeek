##! DNS queries, answered or not: Zeek's dns.log as records.

@load base/protocols/dns
@load ./escape
@load ./main

module Hopscope;

event DNS::log_dns(info: DNS::Info)
	{
	if ( ! info?$query && ! info?$rcode_name )
		return;

	local rec = DnsQuery($ts=info$ts, $uid=info$uid, $sensor=shown_sensor,
	    $client=info$id$orig_h, $resolver=info$id$resp_h);

	if ( info?$query )
		rec$query = escape(info$query);
	if ( info?$qtype_name )
		rec$qtype = info$qtype_name;
	if ( info?$rcode_name )
		rec$rcode = info$rcode_name;
	if ( info?$answers )
		{
		rec$answers = vector();
		for ( _, answer in info$answers )
			rec$answers += escape(answer, line_limit);
		}
	if ( info?$TTLs )
		rec$ttls = info$TTLs;
	# Zeek tells the time of answers alone; a reply without any is logged as it comes.
	if ( info?$rtt )
		rec$rtt = info$rtt;
	else if ( info$saw_query
	    && info$saw_reply
	    && info?$total_answers
	    && info$total_answers == 0 )
		rec$rtt = network_time() - info$ts;

	hook dns_query_ready(rec);
	}
