##! Opens Zeek's WebSocket server for an analyzer, when told to: on a node of its own, or on a cluster's manager.

@load ./compat
@load ./stream
@load ./stream_events

module Hopscope;

export {
	## Listen for an analyzer. In a cluster it may be set on every node; the manager listens.
	const listen = F &redef;

	## Address to listen on. Who can reach it gets every record, unless clients need certificates.
	const listen_addr = 127.0.0.1 &redef;

	## Port to listen on.
	const listen_port = 27759/tcp &redef;

	## The server's certificate (PEM); turns TLS on, together with Hopscope::listen_key_file.
	const listen_cert_file = "" &redef;

	## The key of the server's certificate.
	const listen_key_file = "" &redef;

	## Certificates (PEM) of those who sign the clients' certificates; then a client needs one.
	const listen_ca_file = "" &redef;

	## Listen even when packets come from a capture.
	const listen_while_reading = F &redef;

	## The node listens.
	global listening: function(): bool;

	## Clients need a certificate.
	global clients_are_known: function(): bool;
}

global server_is_open = F;

function listening(): bool
	{
	return server_is_open;
	}

function clients_are_known(): bool
	{
	return listen_cert_file != ""
	    && listen_key_file != ""
	    && listen_ca_file != "";
	}

# Without a handler for each of them, the server's node warns of events that nobody handles.
event batch(schema: string, node: string, boot: string, kind: string,
    seq: count, n: count, lines: vector of string)
	{ }

event hello(h: Hello)
	{ }

event heartbeat(b: Heartbeat)
	{ }

event finding(f: Finding)
	{ }

function may_listen(): bool
	{
	if ( ! listen
	    || Supervisor::is_supervisor()
	    || getenv("ZEEKCTL_CHECK_CONFIG") != "" )
		return F;
	if ( Cluster::is_enabled() )
		return Cluster::local_node_type() == Cluster::MANAGER;
	return ! reading_traces() || listen_while_reading;
	}

# Before the stream starts, which wants to know whether it is heard; after a cluster's back end has started.
event zeek_init() &priority=-15
	{
	if ( ! may_listen() )
		return;

	if ( ( listen_cert_file == "" ) != ( listen_key_file == "" )
	    || ( listen_cert_file == "" && listen_ca_file != "" ) )
		{
		Reporter::warning("Hopscope doesn't listen: TLS takes both Hopscope::listen_cert_file and Hopscope::listen_key_file");
		return;
		}

	local problem = open_server(Listening($address=listen_addr, $p=listen_port,
	    $cert_file=listen_cert_file, $key_file=listen_key_file,
	    $ca_file=listen_ca_file));
	if ( problem != "" )
		{
		Reporter::warning(fmt("Hopscope doesn't listen on %s:%s: %s", listen_addr,
		    listen_port, problem));
		return;
		}

	if ( ! clients_are_known()
	    && listen_addr !in 127.0.0.0/8
	    && listen_addr != [::1] )
		Reporter::warning(fmt("Hopscope listens on %s for anybody who reaches it: set Hopscope::listen_ca_file",
		    listen_addr));

	server_is_open = T;
	stream_is_heard = T;
	}
