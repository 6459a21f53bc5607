##! Connections that live long are told in segments on a 5-minute grid from their start.
##!
##! Connections that are still there after a while are looked at when a segment of theirs ends; the segment
##! is told with the first packet after that, when there is one.

@load base/protocols/conn
@load ./main
@load ./opening
@load ./payloads
@load ./switches

module Hopscope;

export {
	## Tell long connections in segments.
	option segments = T;

	## Length of a segment.
	const segment_length = 5min &redef;

	## How often the connections that have become old enough are picked; at most half a segment.
	const pick_interval = 1min &redef;
}

redef switches += {
	"Hopscope::segments",
};

# What a connection had come to at the end of a segment.
type Volume: record {
	orig_bytes: count &default=0;
	resp_bytes: count &default=0;
	orig_pkts: count &default=0;
	resp_pkts: count &default=0;
};

redef record State += {
	# The number of the open segment, and what was told up to it.
	seg: count &optional;
	told: Volume &optional;
	# The segment that has ended, to be told when the connection goes on.
	ended: Connection &optional;
};

# How many connections that begin within pick_interval are kept until they are old enough, at some 150 bytes each;
# what goes beyond is told at its end only, which is reported once.
const young_at_most = 100000;

# Connections by when they began: those that are young, and those of the interval before.
global young: vector of conn_id;
global older: vector of conn_id;
# How many were too many in this interval.
global left_out = 0;
global limit_of_young_was_told = F;

global segment_ends: event(id: conn_id, start: time);

function wait_for_end(c: connection, seg: count)
	{
	schedule c$start_time + ( seg + 1 ) * segment_length - network_time() {
	    segment_ends(c$id, c$start_time) };
	}

event pick_older()
	{
	for ( _, id in older )
		{
		if ( ! connection_exists(id) )
			next;

		local c = lookup_connection(id);
		# The same ends may have met again since.
		if ( network_time() - c$start_time < pick_interval )
			next;

		# Or stand here twice.
		local s = state(c);
		if ( s?$seg )
			next;

		s$seg = 0;
		wait_for_end(c, 0);
		}

	older = young;
	young = vector();

	if ( left_out > 0 && ! limit_of_young_was_told )
		{
		Reporter::warning(fmt("Hopscope keeps %d connections of %s for segments; %d more are told at their end only, as will be others when there are so many",
		    young_at_most, pick_interval, left_out));
		limit_of_young_was_told = T;
		}
	left_out = 0;

	if ( ! zeek_is_terminating() )
		schedule pick_interval { pick_older() };
	}

event zeek_init()
	{
	schedule pick_interval { pick_older() };
	}

function keep_young(id: conn_id)
	{
	if ( |young| < young_at_most )
		young += id;
	else
		++left_out;
	}

# Of TCP those that were answered are enough: a scan makes very many that never are.
event new_connection(c: connection) &group="Hopscope::segments"
	{
	if ( c$conn$proto != tcp )
		keep_young(c$id);
	}

event connection_established(c: connection) &group="Hopscope::segments"
	{
	keep_young(c$id);
	}

event partial_connection(c: connection) &group="Hopscope::segments"
	{
	keep_young(c$id);
	}

hook one_sided(c: connection) &group="Hopscope::segments"
	{
	keep_young(c$id);
	}

function take_volume(rec: Connection): Volume
	{
	return Volume($orig_bytes=rec?$orig_bytes ? rec$orig_bytes : 0,
	    $resp_bytes=rec?$resp_bytes ? rec$resp_bytes : 0,
	    $orig_pkts=rec?$orig_pkts ? rec$orig_pkts : 0,
	    $resp_pkts=rec?$resp_pkts ? rec$resp_pkts : 0);
	}

# Totals can shrink: content may show that the ends are the other way round.
function minus(total: count, before: count): count
	{
	return total > before ? total - before : 0;
	}

# Make the seg_ fields those of the segment alone.
function since(rec: Connection, told: Volume)
	{
	if ( rec?$orig_bytes )
		{
		rec$seg_orig_bytes = minus(rec$orig_bytes, told$orig_bytes);
		rec$seg_resp_bytes = minus(rec$resp_bytes, told$resp_bytes);
		}
	if ( rec?$orig_pkts )
		{
		rec$seg_orig_pkts = minus(rec$orig_pkts, told$orig_pkts);
		rec$seg_resp_pkts = minus(rec$resp_pkts, told$resp_pkts);
		}
	}

# The state of a connection that goes on, as conn.log would have it.
function state_so_far(c: connection): string
	{
	switch ( get_port_transport_proto(c$id$resp_p) )
		{
		case tcp:
			if ( c$orig$state == TCP_CLOSED )
				return c$resp$state == TCP_ESTABLISHED ? "S2" : "SH";
			if ( c$resp$state == TCP_CLOSED )
				return c$orig$state == TCP_ESTABLISHED ? "S3" : "SHR";
			return c$orig$state == TCP_ESTABLISHED && c$resp$state == TCP_ESTABLISHED ?
			    "S1" : "OTH";
		case udp:
			if ( c$orig$state != UDP_ACTIVE )
				return c$resp$state == UDP_ACTIVE ? "SHR" : "OTH";
			return c$resp$state == UDP_ACTIVE ? "SF" : "S0";
		default:
			return "OTH";
		}
	}

# The connection goes on: the segment is told, the one with the packet at hand has begun.
function tell_ended(c: connection, s: State)
	{
	local rec = s$ended;
	delete s$ended;
	s$told = take_volume(rec);
	s$seg = double_to_count(floor(( network_time() - c$start_time ) /
	    segment_length));
	delete s$rec$on_starts;
	wait_for_end(c, s$seg);
	hook connection_ready(rec);
	}

event segment_ends(id: conn_id, start: time)
	{
	if ( zeek_is_terminating() || ! connection_exists(id) )
		return;

	local c = lookup_connection(id);

	if ( c$start_time != start || ! c?$conn || ! c$orig?$num_pkts )
		return;

	local s = state(c);
	local rec = copy(s$rec);
	fill_volume(rec, c);
	rec$conn_state = state_so_far(c);
	hook finishing(c, rec);
	rec$seg = s$seg;
	rec$final = F;
	rec$seg_end = start + ( s$seg + 1 ) * segment_length;
	s$ended = rec;

	# The packet that let the time pass was of this connection itself.
	if ( start + c$duration > rec$seg_end )
		{
		tell_ended(c, s);
		return;
		}

	await_packet(c, T);
	await_packet(c, F);
	}

event conn_packets_threshold_crossed(c: connection, threshold: count,
    is_orig: bool) &priority=1
	{
	if ( c?$hopscope && c$hopscope?$ended )
		tell_ended(c, c$hopscope);
	}

hook finishing(c: connection, rec: Connection) &priority=-5
	{
	if ( ! c?$hopscope || ! c$hopscope?$told )
		return;

	rec$seg = c$hopscope$seg;
	since(rec, c$hopscope$told);
	}
