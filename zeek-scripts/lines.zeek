##! A record as one line of text: the very line that Zeek's ASCII writer puts into hopscope.log and
##! hopscope_dns.log for it, so that one reader serves the stream and the logs.
##!
##! Most fields of most connections are unset. They are tested in groups, for a test costs a tenth of what a
##! column does. cat() takes half the time of cat_sep(), and a quarter of that of fmt().

@load ./records

module Hopscope;

export {
	## The columns of a connection's line, in order: the fields of Hopscope::Connection.
	const connection_columns: vector of string = vector("ts", "uid", "sensor",
	    "orig_h", "orig_p", "resp_h", "resp_p", "proto", "service",
	    "local_orig", "local_resp", "tunnel_parents", "seg", "seg_end",
	    "final", "duration", "orig_bytes", "resp_bytes", "orig_pkts",
	    "resp_pkts", "orig_ip_bytes", "resp_ip_bytes", "missed_bytes",
	    "conn_state", "history", "seg_orig_bytes", "seg_resp_bytes",
	    "seg_orig_pkts", "seg_resp_pkts", "tcp_rtt", "client_rtt",
	    "hello_rtt", "finished_rtt", "first_reply", "reply_p10", "replies",
	    "close_rtt", "pause", "first_speaker", "first_len", "first_bits",
	    "first_printable", "first_run", "first_head_printable", "tls_sizes",
	    "sni", "alpn", "tls_version", "ja4", "server_hello", "cert_subject",
	    "cert_issuer", "cert_sha256", "cert_self_signed", "resumed",
	    "ssh_client", "ssh_server", "ssh_host_key", "http_host",
	    "http_method", "user_agent", "proxy_protocol", "proxy_target",
	    "proxy_accepted", "leaked_far_end", "on_starts");

	## The columns of a DNS query's line, in order: the fields of Hopscope::DnsQuery.
	const dns_query_columns: vector of string = vector("ts", "uid", "sensor",
	    "client", "resolver", "query", "qtype", "rcode", "answers", "ttls",
	    "rtt");

	## A connection's line, without a newline.
	global connection_line: function(rec: Connection): string;

	## A DNS query's line, without a newline.
	global dns_query_line: function(rec: DnsQuery): string;
}

# What a field can't hold as it is: text that would be read as unset or as empty, the escape sign, and what
# would end a field or a line (records come without control bytes; here nothing rests on that).
const reserved = /^-$|^\(empty\)$|^$|[\\\x00-\x1f\x7f]/;
const reserved_element = /^-$|^\(empty\)$|^$|[,\\\x00-\x1f\x7f]/;
const control = /[\x00-\x1f\x7f]/;

function escape_field(s: string): string
	{
	if ( s == "" )
		return "(empty)";
	if ( s == "-" )
		return "\\x2d";
	if ( s == "(empty)" )
		return "\\x28empty)";

	local text = subst_string(s, "\\", "\\\\");
	if ( control !in text )
		return text;

	local out = "";
	for ( c in text )
		out += control in c ? fmt("\\x%02x", bytestring_to_count(c)) : c;
	return out;
	}

function string_fields(strings: vector of string): string
	{
	if ( |strings| == 0 )
		return "(empty)";

	local parts: vector of string = vector();
	for ( _, s in strings )
		parts += reserved_element in s ? subst_string(escape_field(s), ",", "\\x2c") : s;
	return join_string_vec(parts, ",");
	}

# The log turns to exponents from 2^31 seconds on: 2038 for times; 68 years, which only a time to live can claim,
# for intervals. So does cat(), which is cheaper than fmt() and else leaves out zeros at the end.
const plain_seconds = 2147483647.0;
const plain_times = double_to_time(plain_seconds);
const plain_intervals = double_to_interval(plain_seconds);

function time_field(t: time): string
	{
	local s = cat(t);
	# ten digits, a point and six digits
	return |s| == 17 || t >= plain_times ? s : fmt("%.6f", t);
	}

# JSON writes whole numbers as the log does, but for the brackets.
function int_fields(numbers: vector of int): string
	{
	return |numbers| == 0 ? "(empty)" : to_json(numbers)[1 : -1];
	}

# Below a millionth cat() turns to exponents and the log doesn't.
function double_field(d: double): string
	{
	local text = cat(d);
	return "e" in text ? sub(fmt("%.6f", d), /\.?0+$/, "") : text;
	}

function double_fields(values: vector of double): string
	{
	if ( |values| == 0 )
		return "(empty)";

	local parts: vector of string = vector();
	for ( _, d in values )
		parts += double_field(d);
	return join_string_vec(parts, ",");
	}

function interval_fields(values: vector of interval): string
	{
	if ( |values| == 0 )
		return "(empty)";

	local parts: vector of string = vector();
	for ( _, i in values )
		parts += i < plain_intervals ? fmt("%.6f", i) : cat(interval_to_double(i));
	return join_string_vec(parts, ",");
	}

function text_field(s: string): string
	{
	return reserved in s ? escape_field(s) : s;
	}

# Of a fixed alphabet, so never reserved: uid, proto, conn_state, first_speaker, proxy_protocol and what is
# hexadecimal or a name of Zeek's own.
function connection_line(rec: Connection): string
	{
	local sizes: string;
	if ( rec?$duration
	    && rec?$orig_bytes
	    && rec?$resp_bytes
	    && rec?$orig_pkts
	    && rec?$resp_pkts
	    && rec?$orig_ip_bytes
	    && rec?$resp_ip_bytes
	    && rec?$missed_bytes )
		sizes = cat(fmt("%.6f", rec$duration), "\t", rec$orig_bytes, "\t",
		    rec$resp_bytes, "\t", rec$orig_pkts, "\t", rec$resp_pkts,
		    "\t", rec$orig_ip_bytes, "\t", rec$resp_ip_bytes, "\t",
		    rec$missed_bytes);
	else
		sizes = cat(rec?$duration ? fmt("%.6f", rec$duration) : "-", "\t",
		    rec?$orig_bytes ? cat(rec$orig_bytes) : "-", "\t",
		    rec?$resp_bytes ? cat(rec$resp_bytes) : "-", "\t",
		    rec?$orig_pkts ? cat(rec$orig_pkts) : "-", "\t",
		    rec?$resp_pkts ? cat(rec$resp_pkts) : "-", "\t",
		    rec?$orig_ip_bytes ? cat(rec$orig_ip_bytes) : "-", "\t",
		    rec?$resp_ip_bytes ? cat(rec$resp_ip_bytes) : "-", "\t",
		    rec?$missed_bytes ? cat(rec$missed_bytes) : "-");

	local share: string;
	if ( rec?$seg_orig_bytes
	    && rec?$seg_resp_bytes
	    && rec?$seg_orig_pkts
	    && rec?$seg_resp_pkts )
		share = cat(rec$seg_orig_bytes, "\t", rec$seg_resp_bytes, "\t",
		    rec$seg_orig_pkts, "\t", rec$seg_resp_pkts);
	else
		share = cat(rec?$seg_orig_bytes ? cat(rec$seg_orig_bytes) : "-", "\t",
		    rec?$seg_resp_bytes ? cat(rec$seg_resp_bytes) : "-", "\t",
		    rec?$seg_orig_pkts ? cat(rec$seg_orig_pkts) : "-", "\t",
		    rec?$seg_resp_pkts ? cat(rec$seg_resp_pkts) : "-");

	local times = "-\t-\t-\t-\t-\t-\t-\t-\t-";
	if ( rec?$tcp_rtt
	    || rec?$client_rtt
	    || rec?$hello_rtt
	    || rec?$finished_rtt
	    || rec?$first_reply
	    || rec?$reply_p10
	    || rec?$replies
	    || rec?$close_rtt
	    || rec?$pause )
		times = cat(rec?$tcp_rtt ? fmt("%.6f", rec$tcp_rtt) : "-", "\t",
		    rec?$client_rtt ? fmt("%.6f", rec$client_rtt) : "-", "\t",
		    rec?$hello_rtt ? fmt("%.6f", rec$hello_rtt) : "-", "\t",
		    rec?$finished_rtt ? fmt("%.6f", rec$finished_rtt) : "-",
		    "\t", rec?$first_reply ? fmt("%.6f", rec$first_reply) : "-",
		    "\t", rec?$reply_p10 ? fmt("%.6f", rec$reply_p10) : "-",
		    "\t", rec?$replies ? cat(rec$replies) : "-", "\t",
		    rec?$close_rtt ? fmt("%.6f", rec$close_rtt) : "-", "\t",
		    rec?$pause ? fmt("%.6f", rec$pause) : "-");

	local first = "-\t-\t-\t-\t-\t-";
	if ( rec?$first_speaker
	    || rec?$first_len
	    || rec?$first_bits
	    || rec?$first_printable
	    || rec?$first_run
	    || rec?$first_head_printable )
		first = cat(rec?$first_speaker ? rec$first_speaker : "-", "\t", rec?$first_len ?
		    cat(rec$first_len) : "-", "\t", rec?$first_bits ?
		    double_field(rec$first_bits) : "-", "\t",
		    rec?$first_printable ? double_field(rec$first_printable) :
		    "-", "\t", rec?$first_run ? cat(rec$first_run) : "-", "\t",
		    rec?$first_head_printable ? cat(rec$first_head_printable) :
		    "-");

	local tls = "-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-";
	if ( rec?$tls_sizes
	    || rec?$sni
	    || rec?$alpn
	    || rec?$tls_version
	    || rec?$ja4
	    || rec?$server_hello
	    || rec?$cert_subject
	    || rec?$cert_issuer
	    || rec?$cert_sha256
	    || rec?$cert_self_signed
	    || rec?$resumed )
		tls = cat(rec?$tls_sizes ? int_fields(rec$tls_sizes) : "-", "\t", rec?$sni ?
		    text_field(rec$sni) : "-", "\t", rec?$alpn ? text_field(
		    rec$alpn) : "-", "\t", rec?$tls_version ? rec$tls_version :
		    "-", "\t", rec?$ja4 ? rec$ja4 : "-", "\t", rec?$server_hello ?
		    rec$server_hello : "-", "\t", rec?$cert_subject ?
		    text_field(rec$cert_subject) : "-", "\t", rec?$cert_issuer ?
		    text_field(rec$cert_issuer) : "-", "\t", rec?$cert_sha256 ?
		    rec$cert_sha256 : "-", "\t", rec?$cert_self_signed ? cat(
		    rec$cert_self_signed) : "-", "\t", rec?$resumed ? cat(
		    rec$resumed) : "-");

	# ssh_client to on_starts
	local rest = "-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-";
	if ( rec?$ssh_client
	    || rec?$ssh_server
	    || rec?$ssh_host_key
	    || rec?$http_host
	    || rec?$http_method
	    || rec?$user_agent
	    || rec?$proxy_protocol
	    || rec?$proxy_target
	    || rec?$proxy_accepted
	    || rec?$leaked_far_end
	    || rec?$on_starts )
		rest = cat(rec?$ssh_client ? text_field(rec$ssh_client) : "-", "\t",
		    rec?$ssh_server ? text_field(rec$ssh_server) : "-", "\t",
		    rec?$ssh_host_key ? rec$ssh_host_key : "-", "\t",
		    rec?$http_host ? text_field(rec$http_host) : "-", "\t",
		    rec?$http_method ? text_field(rec$http_method) : "-", "\t",
		    rec?$user_agent ? text_field(rec$user_agent) : "-", "\t",
		    rec?$proxy_protocol ? rec$proxy_protocol : "-", "\t",
		    rec?$proxy_target ? text_field(rec$proxy_target) : "-",
		    "\t", rec?$proxy_accepted ? cat(rec$proxy_accepted) : "-",
		    "\t", rec?$leaked_far_end ? text_field(rec$leaked_far_end) :
		    "-", "\t", rec?$on_starts ? double_fields(rec$on_starts) :
		    "-");

	return cat(time_field(rec$ts), "\t", rec$uid, "\t", text_field(rec$sensor),
	    "\t", rec$orig_h, "\t", port_to_count(rec$orig_p), "\t", rec$resp_h,
	    "\t", port_to_count(rec$resp_p), "\t", rec$proto, "\t", rec?$service ?
	    text_field(rec$service) : "-", "\t", rec?$local_orig ? cat(
	    rec$local_orig) : "-", "\t", rec?$local_resp ? cat(rec$local_resp) :
	    "-", "\t", rec?$tunnel_parents ? string_fields(rec$tunnel_parents) :
	    "-", "\t", rec$seg, "\t", time_field(rec$seg_end), "\t", rec$final,
	    "\t", sizes, "\t", rec?$conn_state ? rec$conn_state : "-", "\t",
	    rec?$history ? text_field(rec$history) : "-", "\t", share, "\t",
	    times, "\t", first, "\t", tls, "\t", rest);
	}

function dns_query_line(rec: DnsQuery): string
	{
	return cat(time_field(rec$ts), "\t", rec$uid, "\t", text_field(rec$sensor),
	    "\t", rec$client, "\t", rec$resolver, "\t", rec?$query ? text_field(
	    rec$query) : "-", "\t", rec?$qtype ? text_field(rec$qtype) : "-",
	    "\t", rec?$rcode ? text_field(rec$rcode) : "-", "\t", rec?$answers ?
	    string_fields(rec$answers) : "-", "\t", rec?$ttls ? interval_fields(
	    rec$ttls) : "-", "\t", rec?$rtt ? fmt("%.6f", rec$rtt) : "-");
	}
