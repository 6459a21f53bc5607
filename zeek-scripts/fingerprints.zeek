##! TLS fingerprints: JA4 of the client (FoxIO's specification, BSD 3-Clause; the client part alone) and what
##! the ServerHello says.

@load base/protocols/ssl
@load ./main
@load ./switches

module Hopscope;

export {
	## Tell the JA4 fingerprint of TLS clients and the ServerHello.
	option tls_fingerprints = F;

	## Parts of fingerprints that are remembered, as clients send the same again and again.
	const most_parts = 10000 &redef;
}

redef switches += {
	"Hopscope::tls_fingerprints",
};

redef record State += {
	# Extensions of the hello that is being read, in order.
	extensions: vector of count &optional;
	# What JA4 needs of their contents.
	sigalgs: string &optional;
	versions: string &optional;
	alpn: string &optional;
};

# What a list of ciphers, or extensions with signature algorithms, comes to.
type Part: record {
	n: count;
	hash: string;
};

global known_parts: table[string] of Part &create_expire=1day;

const extension_sni = 0;
const extension_sigalgs = 13;
const extension_alpn = 16;
const extension_versions = 43;

const ja4_versions: table[count] of string = {
	[0x0304] = "13",
	[0x0303] = "12",
	[0x0302] = "11",
	[0x0301] = "10",
	[0x0300] = "s3",
	[0x0002] = "s2",
	[0xfeff] = "d1",
	[0xfefd] = "d2",
	[0xfefc] = "d3",
} &default="00";

# Reserved values that clients send to keep servers tolerant (RFC 8701): 0x?a?a.
function is_grease(value: count): bool
	{
	return value % 16 == 10 && value / 256 == value % 256;
	}

# A count of 16 bits each, hexadecimal, as they stand in bytes.
function hexes(raw: string): string_vec
	{
	local out: string_vec;
	local digits = bytestring_to_hexstr(raw);
	local at = 0;

	while ( at + 4 <= |digits| )
		{
		out += digits[at : at + 4];
		at += 4;
		}

	return out;
	}

function short_hash(content: string): string
	{
	return content == "" ? "000000000000" : sha256_hash(content)[:12];
	}

# How many values without GREASE, and the hash of them in order, SNI and ALPN left out when they are extensions.
function make_part(values: vector of count, are_extensions: bool,
    sigalgs: string): Part
	{
	local kept: string_vec;
	local n = 0;

	for ( _, value in values )
		{
		if ( is_grease(value) )
			next;
		++n;
		if ( ! are_extensions
		    || ( value != extension_sni && value != extension_alpn ) )
			kept += fmt("%04x", value);
		}

	sort(kept, strcmp);
	local content = join_string_vec(kept, ",");

	if ( content != "" && sigalgs != "" )
		{
		local algorithms: string_vec;
		for ( _, algorithm in hexes(sigalgs) )
			if ( ! is_grease(bytestring_to_count(hexstr_to_bytestring(algorithm))) )
				algorithms += algorithm;
		content += "_" + join_string_vec(algorithms, ",");
		}

	return Part($n=n, $hash=short_hash(content));
	}

function known_part(values: vector of count, are_extensions: bool,
    sigalgs: string): Part
	{
	local key = cat(are_extensions, values, sigalgs);

	if ( key !in known_parts )
		{
		if ( |known_parts| >= most_parts )
			clear_table(known_parts);
		known_parts[key] = make_part(values, are_extensions, sigalgs);
		}

	return known_parts[key];
	}

function highest_version(version: count, offered: string): count
	{
	if ( offered == "" )
		return version;

	local most = 0;
	for ( _, digits in hexes(offered) )
		{
		local value = bytestring_to_count(hexstr_to_bytestring(digits));
		if ( value > most && ! is_grease(value) )
			most = value;
		}

	return most == 0 ? version : most;
	}

# First and last character of the first protocol offered, or of its hexadecimal form.
function alpn_ends(alpn: string): string
	{
	if ( alpn == "" )
		return "00";

	local shown = /^[0-9A-Za-z](.|\n)*$/ in alpn && /[0-9A-Za-z]$/ in alpn ? alpn :
	    bytestring_to_hexstr(alpn);
	return shown[:1] + shown[-1 :];
	}

event ssl_extension(c: connection, is_client: bool, code: count, val: string)
    &group="Hopscope::tls_fingerprints"
	{
	local s = state(c);

	if ( ! s?$extensions )
		s$extensions = vector();
	s$extensions += code;

	if ( code == extension_versions )
		s$versions = val;
	else if ( ! is_client )
		return;
	else if ( code == extension_sigalgs )
		s$sigalgs = val[2:];
	else if ( code == extension_alpn && |val| > 3 )
		s$alpn = val[3 : 3 + bytestring_to_count(val[2:3])];
	}

event ssl_client_hello(c: connection, version: count, record_version: count,
    possible_ts: time, client_random: string, session_id: string,
    ciphers: index_vec, comp_methods: index_vec)
    &group="Hopscope::tls_fingerprints"
	{
	local s = state(c);

	if ( ! s$rec?$ja4 )
		{
		local extensions: vector of count = s?$extensions ? s$extensions : vector();
		local suites = known_part(ciphers, F, "");
		local known = known_part(extensions, T, s?$sigalgs ? s$sigalgs : "");
		local sni = F;
		for ( _, code in extensions )
			if ( code == extension_sni )
				sni = T;

		s$rec$ja4 = fmt("t%s%s%02d%02d%s_%s_%s", ja4_versions[highest_version(version,
		    s?$versions ? s$versions[1:] : "")], sni ? "d" : "i",
		    suites$n > 99 ? 99 : suites$n, known$n > 99 ? 99 : known$n,
		    alpn_ends(s?$alpn ? s$alpn : ""), suites$hash, known$hash);
		}

	delete s$extensions;
	delete s$versions;
	}

event ssl_server_hello(c: connection, version: count, record_version: count,
    possible_ts: time, server_random: string, session_id: string, cipher: count,
    comp_method: count) &group="Hopscope::tls_fingerprints"
	{
	local s = state(c);
	local codes: string_vec;

	if ( s?$extensions )
		for ( _, code in s$extensions )
			codes += fmt("%04x", code);
	if ( s?$versions && |s$versions| == 2 )
		version = bytestring_to_count(s$versions);

	s$rec$server_hello = fmt("%04x,%04x,%s", version, cipher, join_string_vec(
	    codes, "-"));
	delete s$extensions;
	delete s$versions;
	}
