##! The round trips of the TCP handshake, on either side of the sensor.

@load ./main

module Hopscope;

redef record State += {
	# When the responder's SYN came, and the originator's first ACK after it.
	syn_ack: time &optional;
	first_ack: time &optional;
	# When the originator's first payload came.
	asked: time &optional;
};

event connection_established(c: connection)
	{
	local s = state(c);
	s$syn_ack = network_time();

	# A single packet of the originator's so far: its SYN was not sent again.
	if ( c$orig?$num_pkts && c$orig$num_pkts == 1 )
		s$rec$tcp_rtt = network_time() - c$start_time;
	}

event connection_first_ACK(c: connection)
	{
	if ( ! c?$hopscope || ! c$hopscope?$syn_ack )
		return;

	local s = c$hopscope;
	s$first_ack = network_time();

	# It carries the first payload.
	if ( s?$asked && s$asked == s$first_ack )
		s$rec$pause = 0sec;

	# Of the responder's too there is one, the SYN-ACK; another would be the same again.
	if ( ! c$resp?$num_pkts || c$resp$num_pkts != 1 )
		delete s$rec$tcp_rtt;
	else
		s$rec$client_rtt = network_time() - s$syn_ack;
	}
