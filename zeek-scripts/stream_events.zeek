##! The events of the stream: what goes to an analyzer and what comes back. The node that listens for
##! WebSocket clients has to know them all, whether it makes records itself or not.

module Hopscope;

export {
	## The package's version.
	const version = "0.1.0";

	## Version of this protocol, in each hello.
	const protocol = 1;

	## Topic of records, hello and heartbeat.
	const records_topic = "/hopscope/records" &redef;

	## Topic on which findings come back.
	const findings_topic = "/hopscope/findings" &redef;

	## How the lines of a kind of record are made up.
	type Schema: record {
		## Either connection or dns_query.
		kind: string;
		## The first 16 hexadecimal digits of the MD5 of kind and columns, joined by tabs.
		hash: string;
		## The columns in order.
		columns: vector of string;
	};

	## Who sends, and in what form.
	type Hello: record {
		## Hopscope::protocol of the sender.
		protocol: count;
		## The node's name.
		node: string;
		## Another one each time the node starts.
		boot: string;
		## Zeek's version.
		zeek: string;
		## The package's version.
		package: string;
		## The node's network time.
		now: time;
		## One for each kind.
		schemas: vector of Schema;
	};

	## How much of a kind has been sent so far.
	type StreamCount: record {
		## Either connection or dns_query.
		kind: string;
		## Records in batches, those of dropped ones included.
		records: count;
		## Batches, dropped ones included: the next sequence number.
		batches: count;
		## Batches that Zeek refused to send.
		dropped: count;
	};

	## A node's own counters.
	type Heartbeat: record {
		## The node's name.
		node: string;
		## Another one each time the node starts.
		boot: string;
		## The node's network time.
		now: time;
		## One for each kind.
		counters: vector of StreamCount;
		## Packets that the node has got.
		packets_received: count;
		## Packets that were dropped before the node got them.
		packets_dropped: count;
		## Packets on the link; 0 where it isn't known.
		packets_link: count;
	};

	## What the analyzer found: a hop, or a relay in our own network. Nothing of it is to be trusted beyond its types.
	type Finding: record {
		## The analyzer's name for it; the same finding keeps it.
		id: string;
		## The hop's address.
		hop: addr;
		## The port on which it relays.
		service_p: port &optional;
		## Low, medium, high or critical.
		severity: string;
		## The evidence in decibans.
		score_db: double;
		## Who talks to it.
		clients: vector of addr;
		## The names under which it was reached.
		names: vector of string;
		## The relay stands in the monitored networks.
		internal: bool;
		## What it is, in a line.
		title: string;
	};

	## Records of one kind.
	##
	## schema: Hash of the schema, see Hopscope::Schema.
	##
	## node: The node's name.
	##
	## boot: Another one each time the node starts.
	##
	## kind: Either connection or dns_query.
	##
	## seq: Number of the batch, of this node, boot and kind, from 0.
	##
	## n: Number of lines.
	##
	## lines: The records, as Zeek's ASCII writer puts them into the log.
	global batch: event(schema: string, node: string, boot: string, kind: string,
	    seq: count, n: count, lines: vector of string);

	## Sent at the start and with each heartbeat.
	global hello: event(h: Hello);

	## Sent every Hopscope::heartbeat_interval.
	global heartbeat: event(b: Heartbeat);

	## Sent by an analyzer.
	global finding: event(f: Finding);
}
