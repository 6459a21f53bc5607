##! Requests and their replies after the first: how many, and how fast the fastest tenth is.

@load ./main

module Hopscope;

export {
	## Times of replies that are kept of a connection.
	const most_replies = 128 &redef;

	## The originator has sent a request, or more of one that isn't answered.
	##
	## s: The connection's state.
	global note_request: function(s: State);

	## The responder has sent something; the open request's answer, when there is one.
	##
	## s: The connection's state.
	global note_reply: function(s: State);

	## Forget the open request: what comes next may not be its answer.
	##
	## s: The connection's state.
	global forget_request: function(s: State);
}

redef record State += {
	# When the open request was last added to.
	request: time &optional;
	# What replies took.
	replies: vector of interval &optional;
};

function note_request(s: State)
	{
	s$request = network_time();
	}

function note_reply(s: State)
	{
	if ( ! s?$request )
		return;

	local took = network_time() - s$request;

	# Sent before the request had come: it answers something else.
	if ( s$rec?$tcp_rtt && took < s$rec$tcp_rtt / 2 )
		return;

	if ( ! s?$replies )
		s$replies = vector();
	if ( |s$replies| < most_replies )
		s$replies += took;

	s$rec$replies = s$rec?$replies ? s$rec$replies + 1 : 1;
	delete s$request;
	}

function forget_request(s: State)
	{
	delete s$request;
	}

# The 10th percentile, linearly interpolated.
function fastest_tenth(times: vector of interval): interval
	{
	sort(times);
	local place = 0.1 * ( |times| - 1 );
	local low = double_to_count(floor(place));

	if ( low + 1 >= |times| )
		return times[low];

	return times[low] + ( place - low ) * ( times[low + 1] - times[low] );
	}

hook finishing(c: connection, rec: Connection)
	{
	if ( c?$hopscope && c$hopscope?$replies )
		rec$reply_p10 = fastest_tenth(c$hopscope$replies);
	}
