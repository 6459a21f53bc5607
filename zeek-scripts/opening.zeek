##! The first payload each way: who speaks first, after what pause, and when it is answered.

@load ./main
@load ./timing

@load-sigs ./signatures

module Hopscope;

export {
	## The originator's first payload has come.
	##
	## c: The connection.
	##
	## s: Its state.
	##
	## data: The payload, as far as it came in one piece.
	global requested: hook(c: connection, s: State, data: string);

	## The responder's first payload has come.
	##
	## c: The connection.
	##
	## s: Its state.
	global first_answered: hook(c: connection, s: State);

	## The responder has sent its first payload: the first answer, when it answers something. Told once;
	## for those that learn of it another way than from its bytes.
	##
	## c: The connection.
	##
	## s: Its state.
	global note_answer: function(c: connection, s: State);

	## The first payload of a side has come, and nothing of the other yet.
	##
	## c: The connection.
	global one_sided: hook(c: connection);

	## A request has come to its end only now, in a segment after its first.
	##
	## s: The connection's state.
	global note_request_end: function(s: State);
}

redef record State += {
	# When the first request's last segment came that is known of, and how many bytes are known.
	asked_last: time &optional;
	asked_size: count &optional;
	# Set when it is known that the request ended at that time.
	asked_whole: bool &optional;
	# Set when the responder has spoken.
	answered: bool &optional;
};

function first_request(match: signature_state, data: string): bool
	{
	local c = match$conn;
	local s = state(c);

	if ( s?$asked || |data| == 0 )
		return T;

	s$asked = s$asked_last = network_time();
	s$asked_size = |data|;
	s$rec$first_len = |data|;

	if ( ! s$rec?$first_speaker )
		s$rec$first_speaker = "orig";
	if ( s?$first_ack )
		s$rec$pause = network_time() - s$first_ack;
	else if ( c$resp$state == TCP_INACTIVE )
		hook one_sided(c);

	hook requested(c, s, data);

	return T;
	}

function note_answer(c: connection, s: State)
	{
	if ( s?$answered )
		return;

	s$answered = T;

	if ( ! s?$asked )
		{
		# Signatures don't get the originator's payloads when its SYN was missed: it may have spoken first.
		if ( c$orig$size == 0 )
			s$rec$first_speaker = "resp";
		if ( c$orig$state == TCP_INACTIVE )
			hook one_sided(c);
		}

	# A request that takes more segments than were seen ends at a time that isn't known.
	else if ( s$rec$first_speaker == "orig"
	    && "T" !in c$history
	    && ( s?$asked_whole || c$orig$size == s$asked_size ) )
		s$rec$first_reply = network_time() - s$asked_last;

	hook first_answered(c, s);
	}

function first_answer(match: signature_state, data: string): bool
	{
	if ( |data| > 0 )
		note_answer(match$conn, state(match$conn));

	return T;
	}

function note_request_end(s: State)
	{
	if ( s?$answered )
		return;

	s$asked_last = network_time();
	s$asked_whole = T;
	}
