##! What differs from one version of Zeek to another (7.0 to 9.0), in one place.
##!
##! Zeek 7.0 publishes and listens through Broker; since 7.2 both belong to the cluster framework, whose back end
##! may be Broker or ZeroMQ; since 8.1 there is none unless one is chosen.

@load base/frameworks/cluster
@load ./stream_events

module Hopscope;

export {
	## Where and how to listen for WebSocket clients.
	type Listening: record {
		## Address to listen on.
		address: addr;
		## Port to listen on.
		p: port;
		## The server's certificate, PEM; empty for no TLS.
		cert_file: string &default="";
		## Its key.
		key_file: string &default="";
		## Certificates of those who sign the clients'; empty when clients need none.
		ca_file: string &default="";
	};

	## Whether publishing can reach anybody: there is a back end.
	global has_backend: function(): bool;

	## Send a batch to the subscribers.
	##
	## Returns: F when it was refused.
	global publish_batch: function(schema: string, node: string, boot: string,
	    kind: string, seq: count, n: count, lines: vector of string): bool;

	## Send a hello.
	global publish_hello: function(h: Hello);

	## Send a heartbeat.
	global publish_heartbeat: function(b: Heartbeat);

	## Have events on a topic raised on this node.
	global subscribe: function(topic: string);

	## A WebSocket client has subscribed on this node (Zeek 7.2 and later).
	global client_came: event();

	## Open the WebSocket server.
	##
	## Returns: What is in the way, or an empty string.
	global open_server: function(where: Listening): string;

	## A Broker peer has come to this node, which is none of a cluster.
	global stranger_came: function(): bool;
}

function has_backend(): bool
	{
@ifdef ( Cluster::CLUSTER_BACKEND_NONE )
	return Cluster::backend != Cluster::CLUSTER_BACKEND_NONE;
@else
	return T;
@endif
	}

function publish_batch(schema: string, node: string, boot: string, kind: string,
    seq: count, n: count, lines: vector of string): bool
	{
@ifdef ( Cluster::publish )
	return Cluster::publish(records_topic, batch, schema, node, boot, kind, seq, n,
	    lines);
@else
	return Broker::publish(records_topic, batch, schema, node, boot, kind, seq, n,
	    lines);
@endif
	}

function publish_hello(h: Hello)
	{
@ifdef ( Cluster::publish )
	Cluster::publish(records_topic, hello, h);
@else
	Broker::publish(records_topic, hello, h);
@endif
	}

function publish_heartbeat(b: Heartbeat)
	{
@ifdef ( Cluster::publish )
	Cluster::publish(records_topic, heartbeat, b);
@else
	Broker::publish(records_topic, heartbeat, b);
@endif
	}

function subscribe(topic: string)
	{
@ifdef ( Cluster::subscribe )
	Cluster::subscribe(topic);
@else
	Broker::subscribe(topic);
@endif
	}

@ifdef ( Cluster::listen_websocket )
function open_server(where: Listening): string
	{
	if ( ! has_backend() )
		return "no cluster back end is loaded, so clients would get neither an acknowledgement nor events; @load hopscope/standalone, or a back end";

	local options = Cluster::WebSocketServerOptions($listen_addr=where$address,
	    $listen_port=where$p);
	if ( where$cert_file != "" )
		options$tls_options = Cluster::WebSocketTLSOptions($cert_file=where$cert_file,
		    $key_file=where$key_file,
		    $enable_peer_verification=where$ca_file != "",
		    $ca_file=where$ca_file);
	return Cluster::listen_websocket(options) ? "" : "the server doesn't start";
	}
@else
function open_server(where: Listening): string
	{
	if ( where$cert_file != "" )
		return "this version of Zeek takes the server's certificates from Broker: set Broker::ssl_certificate, Broker::ssl_keyfile and Broker::ssl_cafile instead";

	# A client sees only what this node has subscribed to; nothing of it has to be raised here.
	Broker::forward(records_topic);
	return port_to_count(Broker::listen_websocket(cat(where$address), where$p)) > 0 ? "" :
	    "the server doesn't start";
	}
@endif

@ifdef ( Cluster::websocket_client_added )
event Cluster::websocket_client_added(endpoint: Cluster::EndpointInfo,
    subscriptions: string_vec)
	{
	event client_came();
	}
@endif

global a_peer_came = F;

function stranger_came(): bool
	{
	return a_peer_came;
	}

@ifdef ( Broker::peer_added )
event Broker::peer_added(endpoint: Broker::EndpointInfo, msg: string)
	{
	if ( ! Cluster::is_enabled() )
		a_peer_came = T;
	}
@endif
