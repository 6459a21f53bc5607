# @TEST-DOC: Values that look like the log's own signs, and each field set or unset, give the log's line.
#
# @TEST-EXEC: zeek $PACKAGE %INPUT
# @TEST-EXEC: grep -v '^#' hopscope.log | cmp - connection.lines
# @TEST-EXEC: grep -v '^#' hopscope_dns.log | cmp - dns_query.lines

redef Hopscope::stream_unheard = T;
redef Hopscope::batch_size = 1;

global files: table[string] of file;

hook Hopscope::batch_ready(kind: string, seq: count, lines: vector of string)
	{
	if ( kind !in files )
		files[kind] = open(kind + ".lines");
	for ( _, line in lines )
		write_file(files[kind], line + "\n");
	}

function bare(): Hopscope::Connection
	{
	return Hopscope::Connection($ts=double_to_time(1795294469.8), $uid="C1",
	    $sensor="-", $orig_h=10.0.0.11, $orig_p=43210/tcp,
	    $resp_h=[2001:db8::7], $resp_p=443/tcp, $proto="tcp", $seg=0,
	    $seg_end=double_to_time(1795294470.0), $final=T);
	}

event zeek_init() &priority=-100
	{
	hook Hopscope::connection_ready(bare());

	local odd = vector("", "-", "(empty)", "(empty)x", "a,b", "a\\x09b", "back\\",
	    "caf\xc3\xa9", "a\tb\nc\x7f", " ");
	for ( _, s in odd )
		{
		local rec = bare();
		rec$service = s;
		rec$tunnel_parents = vector(s, "C2", s);
		rec$history = s;
		rec$sni = s;
		rec$alpn = s;
		rec$cert_subject = s;
		rec$cert_issuer = s;
		rec$ssh_client = s;
		rec$ssh_server = s;
		rec$http_host = s;
		rec$http_method = s;
		rec$user_agent = s;
		rec$proxy_target = s;
		rec$leaked_far_end = s;
		hook Hopscope::connection_ready(rec);

		local query = Hopscope::DnsQuery($ts=rec$ts, $uid="C1", $sensor=s,
		    $client=10.0.0.11, $resolver=10.0.0.53);
		query$query = s;
		query$qtype = s;
		query$rcode = s;
		query$answers = vector(s, s);
		query$ttls = vector(1min, 0sec, 2147483646.5secs, 4294967295.0secs);
		hook Hopscope::dns_query_ready(query);
		}

	local empty = bare();
	empty$tunnel_parents = vector();
	empty$tls_sizes = vector();
	empty$on_starts = vector();
	hook Hopscope::connection_ready(empty);
	hook Hopscope::dns_query_ready(Hopscope::DnsQuery($ts=double_to_time(0.0),
	    $uid="C1", $sensor="zeek", $client=10.0.0.11, $resolver=[::1],
	    $answers=vector(), $ttls=vector(), $rtt=1.5msec));

	for ( _, t in vector(0.0, 1.5, 999999999.123456, 1795294469.123456,
	    1795294469.12, 2147483646.5, 2147483648.12, 4294967295.123456) )
		{
		local then = bare();
		then$ts = double_to_time(t);
		then$seg_end = then$ts;
		hook Hopscope::connection_ready(then);
		}

	# every field after the first eleven alone
	local one = bare();
	one$local_orig = T;
	hook Hopscope::connection_ready(one);
	one = bare();
	one$local_resp = F;
	hook Hopscope::connection_ready(one);
	one = bare();
	one$duration = 1.0000005sec;
	hook Hopscope::connection_ready(one);
	one = bare();
	one$orig_bytes = 18446744073709551615;
	hook Hopscope::connection_ready(one);
	one = bare();
	one$missed_bytes = 0;
	hook Hopscope::connection_ready(one);
	one = bare();
	one$seg_resp_pkts = 7;
	hook Hopscope::connection_ready(one);
	one = bare();
	one$pause = -1usec;
	hook Hopscope::connection_ready(one);
	one = bare();
	one$replies = 0;
	hook Hopscope::connection_ready(one);
	one = bare();
	one$first_head_printable = T;
	hook Hopscope::connection_ready(one);
	one = bare();
	one$resumed = T;
	hook Hopscope::connection_ready(one);
	one = bare();
	one$proxy_accepted = F;
	hook Hopscope::connection_ready(one);

	for ( _, d in vector(0.0, 1.0, 0.5, 1.0 / 3.0, 4e-7, 6e-7, -4e-7, -6e-7,
	    299.9999999, 65535.0) )
		{
		one = bare();
		one$first_bits = d;
		one$first_printable = d;
		one$on_starts = vector(d, -d);
		one$tls_sizes = vector(+517, -1400);
		hook Hopscope::connection_ready(one);
		}
	}
