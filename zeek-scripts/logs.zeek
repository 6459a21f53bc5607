##! The records as logs: hopscope.log and hopscope_dns.log.

@load ./records

module Hopscope;

export {
	redef enum Log::ID += {
		## The log of connections, hopscope.log.
		LOG,
		## The log of DNS queries, hopscope_dns.log.
		DNS_LOG,
	};

	## Write a line of hopscope.log for each connection.
	option log_connections = T;

	## Write a line of hopscope_dns.log for each DNS query.
	option log_dns_queries = T;

	## Decides what goes into hopscope.log.
	global log_policy: Log::PolicyHook;

	## Decides what goes into hopscope_dns.log.
	global log_policy_dns: Log::PolicyHook;
}

event zeek_init() &priority=5
	{
	Log::create_stream(LOG, Log::Stream($columns=Connection, $path="hopscope",
	    $policy=log_policy));
	Log::create_stream(DNS_LOG, Log::Stream($columns=DnsQuery,
	    $path="hopscope_dns", $policy=log_policy_dns));
	}

hook connection_ready(rec: Connection)
	{
	if ( log_connections )
		Log::write(LOG, rec);
	}

hook dns_query_ready(rec: DnsQuery)
	{
	if ( log_dns_queries )
		Log::write(DNS_LOG, rec);
	}
