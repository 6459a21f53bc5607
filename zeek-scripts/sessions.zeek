##! Later replies of sessions whose protocol Zeek doesn't follow message by message: plain shells, SSH, SOCKS.

@load ./opening
@load ./payloads
@load ./replies

module Hopscope;

export {
	## Payloads of such a connection, after its first answer, in which replies are looked for; 0 for none.
	option session_payloads = 40;

	## Services that are such sessions, beside what is unknown.
	option session_services: set[string] = {
		"SSH",
		"SOCKS"
	};
}

redef record State += {
	# Payloads in which replies are still looked for.
	session_left: count &optional;
};

function is_session(c: connection): bool
	{
	for ( service in c$service )
		if ( service !in session_services )
			return F;

	return T;
	}

hook first_answered(c: connection, s: State)
	{
	if ( session_payloads == 0 || ! is_session(c) )
		return;

	s$session_left = session_payloads;
	follow_payloads(c);
	}

hook payload_came(c: connection, s: State, is_orig: bool)
	{
	if ( ! s?$session_left || s$session_left == 0 )
		return;

	if ( ! is_session(c) )
		{
		s$session_left = 0;
		return;
		}

	--s$session_left;

	if ( is_orig )
		note_request(s);
	else
		note_reply(s);

	if ( s$session_left > 0 )
		s$follow_on = T;
	}
