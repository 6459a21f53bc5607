##! TLS: the round trip of the two hellos, who is asked for, what is agreed on.

@load base/protocols/ssl
@load ./escape
@load ./opening

module Hopscope;

redef record State += {
	# When the ClientHello came, as long as it isn't answered.
	hello: time &optional;
};

event ssl_client_hello(c: connection, version: count, record_version: count,
    possible_ts: time, client_random: string, session_id: string,
    ciphers: index_vec, comp_methods: index_vec)
	{
	local s = c?$hopscope ? c$hopscope : state(c);
	s$hello = network_time();
	note_request_end(s);
	}

event ssl_server_hello(c: connection, version: count, record_version: count,
    possible_ts: time, server_random: string, session_id: string, cipher: count,
    comp_method: count)
	{
	local s = c?$hopscope ? c$hopscope : state(c);

	if ( ! s?$hello )
		return;

	if ( ! s$rec?$hello_rtt )
		s$rec$hello_rtt = network_time() - s$hello;
	delete s$hello;
	note_answer(c, s);
	}

# The server's choice comes after the client's offer.
event ssl_extension_application_layer_protocol_negotiation(c: connection,
    is_client: bool, protocols: string_vec)
	{
	if ( |protocols| > 0 )
		state(c)$rec$alpn = escape(protocols[0]);
	}

hook finishing(c: connection, rec: Connection)
	{
	if ( ! c?$ssl )
		return;

	local info = c$ssl;

	if ( info?$server_name && info$server_name != "" )
		rec$sni = escape(info$server_name);

	if ( info?$version )
		{
		rec$tls_version = info$version;
		rec$resumed = info$resumed;
		}
	}
