##! Sends the records to whoever listens: in batches of lines, with a hello that tells their form and a heartbeat
##! that tells how many there were.
##!
##! Records are sent where somebody can get them: in a cluster, and on a node of its own that listens (see
##! listen.zeek). Elsewhere, and under -r, nothing is computed.

@load base/frameworks/config
@load ./compat
@load ./lines
@load ./records
@load ./stream_events

module Hopscope;

export {
	## Send records. It has no effect where nobody can get them; see Hopscope::stream_unheard.
	option stream = T;

	## Send records even from a node that neither listens nor belongs to a cluster: for those who open a
	## WebSocket server by other means.
	option stream_unheard = F;

	## Records that make up a batch.
	option batch_size = 200;

	## Bytes of lines that make up a batch, however few records they are.
	option batch_bytes = 262144;

	## How long a record waits for its batch to fill.
	option batch_interval = 1sec;

	## How often hello and heartbeat are sent.
	option heartbeat_interval = 10sec;

	## A batch is complete. Breaking from the hook drops it, which is counted.
	##
	## kind: Either connection or dns_query.
	##
	## seq: Number of the batch.
	##
	## lines: Its records.
	global batch_ready: hook(kind: string, seq: count, lines: vector of string);

	## What this node is and sends.
	global describe_node: function(): Hello;

	## What this node has sent so far.
	global count_sent: function(): Heartbeat;

	## Send hello and heartbeat now.
	global greet: function();

	## Send what waits for its batch to fill.
	global flush_stream: function();

	## Records are sent from this node.
	global streaming: function(): bool;

	## The name under which this node sends.
	global stream_node: function(): string;
}

# What is known of one kind, and what waits to be sent.
type Outbox: record {
	kind: string;
	columns: vector of string;
	hash: string &default="";
	lines: vector of string &default=vector();
	bytes: count &default=0;
	seq: count &default=0;
	records: count &default=0;
	dropped: count &default=0;
	waiting: bool &default=F;
};

global stream_boot = "";
global stream_is_on = F;
global heartbeat_waits = F;
global connection_outbox = Outbox($kind="connection",
    $columns=connection_columns);
global dns_query_outbox = Outbox($kind="dns_query", $columns=dns_query_columns);

# Somebody can get what is sent; set by listen.zeek where it listens.
global stream_is_heard = F;

global flush_due: event(kind: string);
global heartbeat_due: event();

function stream_node(): string
	{
	if ( Cluster::is_enabled() )
		return Cluster::node;
	return peer_description == "" ? "zeek" : peer_description;
	}

function streaming(): bool
	{
	return stream_is_on;
	}

function schema_hash(kind: string, columns: vector of string): string
	{
	return md5_hash(cat(kind, "\t", join_string_vec(columns, "\t")))[:16];
	}

function flush(out: Outbox)
	{
	local n = |out$lines|;
	if ( n == 0 )
		return;

	local lines = out$lines;
	out$lines = vector();
	out$bytes = 0;

	if ( ! hook batch_ready(out$kind, out$seq, lines)
	    || ! publish_batch(out$hash, stream_node(), stream_boot, out$kind, out$seq, n, lines) )
		++out$dropped;

	++out$seq;
	out$records += n;
	}

function enqueue(out: Outbox, line: string)
	{
	out$lines += line;
	out$bytes += |line|;

	if ( |out$lines| >= batch_size || out$bytes >= batch_bytes )
		flush(out);
	else if ( ! out$waiting )
		{
		out$waiting = T;
		schedule batch_interval { flush_due(out$kind) };
		}
	}

event flush_due(kind: string)
	{
	local out = kind == "connection" ? connection_outbox : dns_query_outbox;
	out$waiting = F;
	flush(out);
	}

function flush_stream()
	{
	flush(connection_outbox);
	flush(dns_query_outbox);
	}

function describe_node(): Hello
	{
	local schemas: vector of Schema = vector();
	for ( _, out in vector(connection_outbox, dns_query_outbox) )
		schemas += Schema($kind=out$kind, $hash=out$hash, $columns=out$columns);

	return Hello($protocol=protocol, $node=stream_node(), $boot=stream_boot,
	    $zeek=zeek_version(), $package=version, $now=network_time(),
	    $schemas=schemas);
	}

function count_sent(): Heartbeat
	{
	local counters: vector of StreamCount = vector();
	for ( _, out in vector(connection_outbox, dns_query_outbox) )
		counters += StreamCount($kind=out$kind, $records=out$records,
		    $batches=out$seq, $dropped=out$dropped);

	local packets = get_net_stats();
	return Heartbeat($node=stream_node(), $boot=stream_boot, $now=network_time(),
	    $counters=counters, $packets_received=packets$pkts_recvd,
	    $packets_dropped=packets$pkts_dropped,
	    $packets_link=packets$pkts_link);
	}

function greet()
	{
	publish_hello(describe_node());
	publish_heartbeat(count_sent());
	}

event heartbeat_due()
	{
	heartbeat_waits = F;
	if ( ! stream_is_on )
		return;

	greet();
	heartbeat_waits = T;
	schedule heartbeat_interval { heartbeat_due() };
	}

# A client of this node needn't wait for its first hello; one of another node waits for a heartbeat.
event client_came()
	{
	if ( stream_is_on )
		greet();
	}

hook connection_ready(rec: Connection) &group="Hopscope::stream"
	{
	enqueue(connection_outbox, connection_line(rec));
	}

hook dns_query_ready(rec: DnsQuery) &group="Hopscope::stream"
	{
	enqueue(dns_query_outbox, dns_query_line(rec));
	}

# Records come into being where packets are seen; the other nodes of a cluster have nothing to say.
function can_stream(): bool
	{
	if ( Supervisor::is_supervisor() )
		return F;
	if ( Cluster::is_enabled() )
		return has_backend() && Cluster::local_node_type() == Cluster::WORKER;
	return stream_is_heard || stream_unheard;
	}

function switch_stream(wanted: bool)
	{
	local now = wanted && can_stream();
	if ( now == stream_is_on )
		return;

	stream_is_on = now;
	if ( stream_is_on )
		{
		enable_event_group("Hopscope::stream");
		if ( ! heartbeat_waits )
			event heartbeat_due();
		}
	else
		{
		flush_stream();
		disable_event_group("Hopscope::stream");
		}
	}

function stream_changed(id: string, value: bool): bool
	{
	switch_stream(value);
	return value;
	}

event zeek_init() &priority=-20
	{
	stream_boot = unique_id("H");
	connection_outbox$hash = schema_hash(connection_outbox$kind,
	    connection_outbox$columns);
	dns_query_outbox$hash = schema_hash(dns_query_outbox$kind,
	    dns_query_outbox$columns);

	disable_event_group("Hopscope::stream");
	switch_stream(stream);
	Option::set_change_handler("Hopscope::stream", stream_changed);
	}

event zeek_done() &priority=-20
	{
	if ( ! stream_is_on )
		return;

	flush_stream();
	greet();
	}
