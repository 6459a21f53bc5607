##! The originator's FIN and the FIN that answers it: the round trip to whom the connection ends at.

@load ./main
@load ./switches

module Hopscope;

export {
	## Time the closing of connections (close_rtt).
	option close_times = T;
}

redef switches += {
	"Hopscope::close_times",
};

redef record State += {
	# When the originator's FIN came before the responder's, and what the responder had sent by then.
	fin: time &optional;
	fin_size: count &optional;
};

# A TLS alert is no longer.
const goodbye = 40;

event connection_EOF(c: connection, is_orig: bool)
    &group="Hopscope::close_times"
	{
	if ( ! c?$hopscope )
		return;

	local s = c$hopscope;

	if ( is_orig )
		{
		if ( c$resp$state != TCP_ESTABLISHED )
			return;

		s$fin = network_time();
		s$fin_size = c$resp$size;
		return;
		}

	# An answer with payload came at a time that isn't known, but for TLS's goodbye, which leaves together
	# with the FIN.
	if ( s?$fin && c$resp$size <= s$fin_size + goodbye && c$history != /.*T.*/ )
		s$rec$close_rtt = network_time() - s$fin;
	}
