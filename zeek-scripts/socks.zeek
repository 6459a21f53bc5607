##! SOCKS: whom the client asks the proxy for, and whether it is granted.

@load base/protocols/socks
@load ./escape
@load ./main

module Hopscope;

event socks_request(c: connection, version: count, request_type: count,
    sa: SOCKS::Address, p: port, user: string)
	{
	local rec = state(c)$rec;

	# Of a chain of proxies the first is the one that the client talks to.
	if ( rec?$proxy_protocol )
		return;

	rec$proxy_protocol = fmt("socks%d", version);

	local host = "";
	if ( sa?$name && sa$name != "" )
		host = escape(sa$name);
	else if ( sa?$host )
		host = is_v6_addr(sa$host) ? fmt("[%s]", sa$host) : fmt("%s", sa$host);

	rec$proxy_target = fmt("%s:%d", host, port_to_count(p));
	}

event socks_reply(c: connection, version: count, reply: count,
    sa: SOCKS::Address, p: port)
	{
	local rec = state(c)$rec;

	if ( rec?$proxy_accepted
	    || ! rec?$proxy_protocol
	    || rec$proxy_protocol == "http-connect" )
		return;

	rec$proxy_accepted = version == 5 ? reply == 0 : reply == 0x5a;
	}

event socks_login_userpass_reply(c: connection, code: count)
	{
	if ( code == 0 )
		return;

	local rec = state(c)$rec;
	rec$proxy_protocol = "socks5";
	rec$proxy_accepted = F;
	}
