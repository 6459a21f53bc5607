##! TLS records after the hellos: the answer to the client's Finished, later replies, sizes.
##!
##! Zeek lets go of TLS once it is encrypted. Here it goes on for a while, with connections that are worth
##! it: to the first record after the client's Finished, or to as many as an option says.

@load base/protocols/ssl
@load ./opening
@load ./replies
@load ./switches

module Hopscope;

export {
	## Time the answer to the TLS client's Finished (finished_rtt).
	option finished_times = T;

	## Encrypted records that are followed after the client's Finished, for their sizes and for later
	## replies; 0 for none.
	option tls_records = 0;

	## Sizes that are kept of a connection.
	const most_tls_sizes = 25 &redef;
}

redef switches += {
	"Hopscope::finished_times",
};

redef record State += {
	# The connection's records are followed.
	tls_followed: bool &default=F;
	tls_13: bool &default=F;
	# Encrypted records of the client before its Finished, and of both after it.
	tls_client: count &default=0;
	tls_count: count &default=0;
	# When the client's Finished came.
	tls_finished: time &optional;
	# Its answer isn't there yet.
	tls_waiting: bool &default=F;
	# The server's Finished came.
	tls_server_finished: bool &default=F;
	# TLS 1.3 session tickets seen and the size of the last; -1: application data came.
	tls_tickets: int &default=+0;
	tls_ticket: count &default=0;
};

# Histories of connections in which payload was sent again.
const sent_again = /.*[Tt].*/;

# Content types of records.
const tls_handshake = 22;
const tls_data = 23;

# A record that may carry a session ticket, and how many of one size are taken for tickets.
const ticket_min = 60;
const ticket_max = 1500;
const most_tickets = +4;

# A server's record that is larger comes in several segments, and its event with the last of them.
const one_segment = 1300;

function let_go(c: connection, s: State)
	{
	s$tls_followed = F;

	if ( c?$ssl && c$ssl?$analyzer_id && c$ssl$established )
		if ( disable_analyzer(c$id, c$ssl$analyzer_id, F) )
			delete c$ssl$analyzer_id;
	}

# The client's Finished: with TLS 1.2 the one record that is a handshake still; with TLS 1.3 the first of
# such a size (RFC 8446, 4.4.4), or the fourth.
function is_finished(s: State, content_type: count, length: count): bool
	{
	if ( content_type == tls_handshake )
		return T;

	return s$tls_13 && ( length == 53 || length == 69 || ++s$tls_client >= 4 );
	}

# A record of a TLS 1.3 server before its first answer: a ticket?
function is_ticket(s: State, length: count): bool
	{
	if ( ! s$tls_13 || s$tls_tickets < 0 )
		return F;

	if ( ! s?$request
	    || ( s$tls_tickets == 0 && length >= ticket_min && length <= ticket_max ) )
		{
		++s$tls_tickets;
		s$tls_ticket = length;
		return T;
		}

	if ( s$tls_tickets > 0
	    && s$tls_tickets < most_tickets
	    && length == s$tls_ticket )
		{
		++s$tls_tickets;
		return T;
		}

	# The answer itself is the first to come: it took time to think.
	if ( s$tls_tickets == 0 )
		s$tls_waiting = F;
	s$tls_tickets = -1;
	return F;
	}

function server_record(c: connection, s: State, content_type: count,
    length: count)
	{
	local ticket = content_type == tls_data && is_ticket(s, length);

	if ( s$tls_waiting )
		{
		s$tls_waiting = F;
		# What was sent again came too late to tell.
		if ( c$history != sent_again )
			s$rec$finished_rtt = network_time() - s$tls_finished;
		}

	if ( ticket || content_type != tls_data )
		return;

	if ( length > one_segment )
		forget_request(s);
	else
		note_reply(s);
	}

function add_size(s: State, size: int)
	{
	if ( ! s$rec?$tls_sizes )
		s$rec$tls_sizes = vector();

	if ( |s$rec$tls_sizes| < most_tls_sizes )
		s$rec$tls_sizes += size;
	}

event ssl_encrypted_data(c: connection, is_client: bool, record_version: count,
    content_type: count, length: count) &group="Hopscope::finished_times"
	{
	if ( ! c?$hopscope )
		return;

	local s = c$hopscope;

	if ( ! s?$tls_finished )
		{
		if ( ! is_client )
			{
			if ( content_type == tls_data )
				s$tls_13 = T;
			else
				s$tls_server_finished = T;
			}
		else if ( is_finished(s, content_type, length) )
			{
			s$tls_finished = network_time();
			s$tls_waiting = ! s$tls_server_finished;
			}
		return;
		}

	if ( is_client )
		{
		if ( content_type == tls_data )
			note_request(s);
		}
	else
		server_record(c, s, content_type, length);

	if ( tls_records > 0 && content_type == tls_data )
		add_size(s, is_client ? +length : -length);

	if ( s$tls_followed
	    && ++s$tls_count >= tls_records
	    && ( ! s$tls_waiting || s$tls_count >= tls_records + 20 ) )
		let_go(c, s);
	}

# Where Zeek would let go.
hook Analyzer::disabling_analyzer(c: connection, atype: AllAnalyzers::Tag,
    aid: count)
	{
	if ( atype != Analyzer::ANALYZER_SSL
	    || ! c?$hopscope
	    || ! c$hopscope$tls_followed )
		return;

	break;
	}

# The handshake is over, and Zeek about to let go.
event ssl_established(c: connection) &group="Hopscope::finished_times"
	{
	if ( c?$hopscope && ( tls_records > 0 || c$hopscope$tls_13 ) )
		c$hopscope$tls_followed = T;
	}

# After a violation it would be in vain.
event analyzer_violation_info(tag: AllAnalyzers::Tag,
    info: AnalyzerViolationInfo) &priority=10 &group="Hopscope::finished_times"
	{
	if ( info?$c && info$c?$hopscope )
		info$c$hopscope$tls_followed = F;
	}
