##! The times at which payload resumes after silence, each way (Zhang and Paxson 2000): what a person at a
##! terminal leaves in both legs of a relay.

@load ./opening
@load ./payloads
@load ./switches

module Hopscope;

export {
	## Tell when payload resumed after silence. That takes an event for each packet of TCP.
	option on_starts = F;

	## Silence that ends a period of payload.
	const silence = 0.5sec &redef;

	## Starts that are kept of a segment of a connection.
	const most_on_starts = 256 &redef;
}

redef switches += {
	"Hopscope::on_starts",
};

redef record State += {
	# When each side's last payload came.
	orig_payload: time &optional;
	resp_payload: time &optional;
};

function add_start(c: connection, s: State, is_orig: bool)
	{
	if ( ! s$rec?$on_starts )
		s$rec$on_starts = vector();
	if ( |s$rec$on_starts| >= most_on_starts )
		return;

	local at = interval_to_double(network_time() - c$start_time);
	s$rec$on_starts += is_orig ? at : -at;
	}

function note_payload(c: connection, s: State, is_orig: bool)
	{
	local now = network_time();

	if ( is_orig )
		{
		if ( ! s?$orig_payload || now - s$orig_payload >= silence )
			add_start(c, s, T);
		s$orig_payload = now;
		}
	else
		{
		if ( ! s?$resp_payload || now - s$resp_payload >= silence )
			add_start(c, s, F);
		s$resp_payload = now;
		}
	}

# The first payload of a side comes before its packets are followed.
hook requested(c: connection, s: State, data: string)
    &group="Hopscope::on_starts"
	{
	if ( s?$orig_payload )
		return;

	note_payload(c, s, T);
	follow_payloads(c);
	}

hook first_answered(c: connection, s: State) &group="Hopscope::on_starts"
	{
	if ( s?$resp_payload )
		return;

	note_payload(c, s, F);
	follow_payloads(c);
	}

hook payload_came(c: connection, s: State, is_orig: bool)
    &group="Hopscope::on_starts"
	{
	note_payload(c, s, is_orig);
	s$follow_on = T;
	}
