##! HTTP: the first request, and proxies asked by CONNECT.

@load base/protocols/http
@load ./escape
@load ./opening
@load ./replies

module Hopscope;

function fill_request(rec: Connection, info: HTTP::Info)
	{
	rec$http_method = escape(info$method);

	if ( info?$user_agent && info$user_agent != "" )
		rec$user_agent = escape(info$user_agent, line_limit);

	# A request to a proxy names the host in its target; it goes before the Host header (RFC 9112, 3.2.2).
	local host = info?$host ? info$host : "";
	if ( info?$uri && info$uri == /[A-Za-z][A-Za-z0-9+.\-]*:\/\/.*/ )
		host = sub(split_string(info$uri, /[\/?#]/)[2], /^.*@/, "");
	if ( host != "" )
		rec$http_host = escape(host);

	if ( info$method == /(?i:connect)/ && info?$uri )
		{
		rec$proxy_protocol = "http-connect";
		# Zeek's URI is all that stands between the method and the version, with its blanks.
		rec$proxy_target = escape(split_string1(info$uri, / /)[0]);
		}
	}

event http_message_done(c: connection, is_orig: bool, stat: http_message_stat)
	{
	if ( ! is_orig )
		return;

	local s = c?$hopscope ? c$hopscope : state(c);
	if ( s?$answered )
		note_request(s);
	else
		note_request_end(s);

	if ( ! s$rec?$http_method && c?$http && c$http?$method )
		fill_request(s$rec, c$http);
	}

event http_reply(c: connection, version: string, code: count, reason: string)
	{
	local s = c?$hopscope ? c$hopscope : state(c);
	note_answer(c, s);
	note_reply(s);

	if ( c?$http
	    && c$http$trans_depth == 1
	    && code >= 200
	    && ! s$rec?$proxy_accepted )
		{
		if ( ! s$rec?$http_method && c$http?$method )
			fill_request(s$rec, c$http);
		if ( s$rec?$proxy_protocol && s$rec$proxy_protocol == "http-connect" )
			s$rec$proxy_accepted = code < 300;
		}
	}

# The first request never came to its end.
hook finishing(c: connection, rec: Connection)
	{
	if ( c?$http
	    && ! rec?$http_method
	    && c$http?$method
	    && c$http$trans_depth == 1 )
		fill_request(rec, c$http);
	}
