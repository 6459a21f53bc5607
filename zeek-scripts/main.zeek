##! What is kept of a connection while it lives, and its record when it is over.

@load base/protocols/conn
@load ./records

module Hopscope;

export {
	## Name of this sensor in the records; when empty it is the node's name, or "zeek" when that has none.
	option sensor = "";

	## What is kept of a connection while it lives. The record is filled as things become known.
	type State: record {
		## The record so far.
		rec: Connection;
	};

	## The connection's state, made when it is first asked for.
	##
	## c: The connection.
	##
	## Returns: Its state.
	global state: function(c: connection): State;

	## The sensor's name as it stands in the records.
	##
	## Returns: The option, the node's name or "zeek".
	global sensor_name: function(): string;

	## Fill the volume of a connection, as it stands, into a record of it.
	##
	## rec: The record.
	##
	## c: The connection.
	global fill_volume: function(rec: Connection, c: connection);

	## A connection of which something is kept is over, or a segment of it: the last chance to fill fields
	## before the record is handed on.
	global finishing: hook(c: connection, rec: Connection);
}

redef record connection += {
	hopscope: State &optional;
};

const protocols: table[transport_proto] of string = {
	[tcp] = "tcp",
	[udp] = "udp",
	[icmp] = "icmp",
} &default="unknown_transport";

function sensor_name(): string
	{
	if ( sensor != "" )
		return sensor;

	return peer_description == "" ? "zeek" : peer_description;
	}

global shown_sensor = "zeek";

event zeek_init() &priority=5
	{
	shown_sensor = sensor_name();
	Option::set_change_handler("Hopscope::sensor", function(id: string,
	    value: string): string
		{
		shown_sensor = value == "" ? sensor_name() : value;
		return value;
		}, -10);
	}

function state(c: connection): State
	{
	if ( ! c?$hopscope )
		{
		local id = c$id;
		c$hopscope = State($rec=Connection($ts=c$start_time, $uid=c$uid,
		    $sensor=shown_sensor, $orig_h=id$orig_h, $orig_p=id$orig_p,
		    $resp_h=id$resp_h, $resp_p=id$resp_p,
		    $proto=protocols[get_port_transport_proto(id$resp_p)],
		    $seg=0, $seg_end=c$start_time, $final=T));
		}

	return c$hopscope;
	}

function fill_volume(rec: Connection, c: connection)
	{
	if ( c$duration > 0sec )
		{
		rec$duration = c$duration;
		rec$orig_bytes = rec$seg_orig_bytes = c$orig$size;
		rec$resp_bytes = rec$seg_resp_bytes = c$resp$size;
		}

	if ( c$orig?$num_pkts )
		{
		rec$orig_pkts = rec$seg_orig_pkts = c$orig$num_pkts;
		rec$resp_pkts = rec$seg_resp_pkts = c$resp$num_pkts;
		rec$orig_ip_bytes = c$orig$num_bytes_ip;
		rec$resp_ip_bytes = c$resp$num_bytes_ip;
		}

	if ( c$history != "" )
		rec$history = c$history;

	rec$missed_bytes = c$conn$missed_bytes;

	# At its end conn.log has put it together.
	if ( c$conn?$service )
		rec$service = c$conn$service;
	else if ( |c$service| > 0 )
		rec$service = to_lower(join_string_set(c$service, ","));

	if ( c$conn?$local_orig )
		{
		rec$local_orig = c$conn$local_orig;
		rec$local_resp = c$conn$local_resp;
		}

	if ( c?$tunnel && |c$tunnel| > 0 )
		{
		rec$tunnel_parents = vector();
		for ( _, parent in c$tunnel )
			if ( parent?$uid )
				rec$tunnel_parents += parent$uid;
		}
	}

# Content can show that the two ends are the other way round.
event connection_flipped(c: connection)
	{
	if ( ! c?$hopscope )
		return;

	local rec = c$hopscope$rec;
	rec$orig_h = c$id$orig_h;
	rec$orig_p = c$id$orig_p;
	rec$resp_h = c$id$resp_h;
	rec$resp_p = c$id$resp_p;
	}

event connection_state_remove(c: connection) &priority=-10
	{
	if ( ! c?$conn )
		return;

	local kept = c?$hopscope;
	local rec = state(c)$rec;
	fill_volume(rec, c);
	rec$conn_state = c$conn$conn_state;
	rec$seg_end = c$start_time + ( c$duration > 0sec ? c$duration : 0sec );
	if ( kept )
		hook finishing(c, rec);
	hook connection_ready(rec);
	}
