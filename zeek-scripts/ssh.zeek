##! SSH: both banners and the server's host key.

@load base/protocols/ssh
@load ./escape
@load ./main

module Hopscope;

event ssh2_server_host_key(c: connection, key: string)
	{
	local rec = state(c)$rec;

	if ( ! rec?$ssh_host_key )
		rec$ssh_host_key = sha256_hash(key);
	}

hook finishing(c: connection, rec: Connection)
	{
	if ( ! c?$ssh || ! c$ssh?$client || ! c$ssh?$server )
		return;

	rec$ssh_client = escape(c$ssh$client);
	rec$ssh_server = escape(c$ssh$server);
	}
