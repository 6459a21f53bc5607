##! Payload by payload, for single connections that are worth it: packet thresholds, one after the other.

@load base/protocols/conn
@load ./main

module Hopscope;

export {
	## Tell each new payload of a connection from now on, through the hook payload_came.
	##
	## c: The connection.
	global follow_payloads: function(c: connection);

	## Have conn_packets_threshold_crossed raised for a side's next packet.
	##
	## c: The connection.
	##
	## is_orig: The originator's next packet, else the responder's.
	global await_packet: function(c: connection, is_orig: bool);

	## New payload came on a connection that is followed. A body that wants to hear of
	## more sets the state's follow_on.
	##
	## c: The connection.
	##
	## s: Its state.
	##
	## is_orig: The originator sent it.
	global payload_came: hook(c: connection, s: State, is_orig: bool);
}

redef record State += {
	# Set by who wants to hear of further payloads.
	follow_on: bool &optional;
	# What each side had sent at the last look; set while payloads are followed.
	orig_size: count &optional;
	resp_size: count &optional;
};

function await_packet(c: connection, is_orig: bool)
	{
	local next_one = ( is_orig ? c$orig$num_pkts : c$resp$num_pkts ) + 1;

	# The framework costs more, and is for connections that other scripts have thresholds on too.
	if ( c?$thresholds )
		ConnThreshold::set_packets_threshold(c, next_one, is_orig);
	else
		set_current_conn_packets_threshold(c$id, next_one, is_orig);
	}

function follow_payloads(c: connection)
	{
	local s = state(c);

	if ( s?$orig_size || ! c$orig?$num_pkts )
		return;

	s$orig_size = c$orig$size;
	s$resp_size = c$resp$size;
	await_packet(c, T);
	await_packet(c, F);
	}

event conn_packets_threshold_crossed(c: connection, threshold: count,
    is_orig: bool)
	{
	if ( ! c?$hopscope || ! c$hopscope?$orig_size )
		return;

	local s = c$hopscope;
	local size = is_orig ? c$orig$size : c$resp$size;

	if ( size > ( is_orig ? s$orig_size : s$resp_size ) )
		{
		if ( is_orig )
			s$orig_size = size;
		else
			s$resp_size = size;

		delete s$follow_on;
		hook payload_came(c, s, is_orig);

		if ( ! s?$follow_on )
			{
			delete s$orig_size;
			return;
			}
		}

	await_packet(c, is_orig);
	}
