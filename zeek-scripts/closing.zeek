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
	# When the originator's FIN came before the responder's, and what had been sent by then.
	fin: time &optional;
	fin_size: count &optional;
	fin_pkts: count &optional;
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
		if ( c$resp$state != TCP_ESTABLISHED || ! c$orig?$num_pkts )
			return;

		s$fin = network_time();
		s$fin_size = c$resp$size;
		# Whether it counts the FIN itself is by chance, but for a fresh look.
		s$fin_pkts = lookup_connection(c$id)$orig$num_pkts;
		return;
		}

	# A reset or a new SYN can set the sizes back.
	if ( ! s?$fin || c$resp$size < s$fin_size )
		return;

	# An answer with payload came at a time that isn't known, but for TLS's goodbye, which leaves together
	# with the FIN; the originator may refuse it.
	local said = c$resp$size - s$fin_size;
	local refused = said > 0 && "R" in c$history;

	# More packets of the originator's than its FIN: it was sent again.
	if ( said <= goodbye && ( refused || c$orig$num_pkts == s$fin_pkts ) )
		s$rec$close_rtt = network_time() - s$fin;
	}
