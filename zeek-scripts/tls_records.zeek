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

# What is known of the records of a connection.
type Records: record {
	# It is TLS 1.3: the server encrypts before the client's Finished.
	is_13: bool &default=F;
	# Encrypted records of the client before its Finished, and of both after it.
	before: count &default=0;
	after: count &default=0;
	# When the client's Finished came; whether its answer isn't there yet.
	finished: time &optional;
	waiting: bool &default=F;
	# The server's Finished came.
	server_finished: bool &default=F;
	# TLS 1.3 session tickets seen and the size of the last; -1: application data came.
	tickets: int &default=+0;
	ticket: count &default=0;
};

redef record State += {
	# Of the encrypted records, once there are any.
	records: Records &optional;
	# Set while Zeek is kept from letting go of TLS.
	tls_followed: bool &optional;
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

# Records of the client that the answer to its Finished is waited for.
const patience = 20;

# A server's record that is larger comes in several segments, and its event with the last of them.
const one_segment = 1300;

function let_go(c: connection, s: State)
	{
	delete s$tls_followed;

	if ( c?$ssl && c$ssl?$analyzer_id && c$ssl$established )
		if ( disable_analyzer(c$id, c$ssl$analyzer_id, F) )
			delete c$ssl$analyzer_id;
	}

# The client's Finished: with TLS 1.2 the one record that is a handshake still; with TLS 1.3 the first of
# such a size (RFC 8446, 4.4.4), or the fourth.
function is_finished(r: Records, content_type: count, length: count): bool
	{
	if ( content_type == tls_handshake )
		return T;

	return r$is_13 && ( length == 53 || length == 69 || ++r$before >= 4 );
	}

# A record of a TLS 1.3 server before its first answer: a ticket?
function is_ticket(r: Records, asked: bool, length: count): bool
	{
	if ( ! r$is_13 || r$tickets < 0 )
		return F;

	if ( ! asked
	    || ( r$tickets == 0 && length >= ticket_min && length <= ticket_max ) )
		{
		++r$tickets;
		r$ticket = length;
		return T;
		}

	if ( r$tickets > 0 && r$tickets < most_tickets && length == r$ticket )
		{
		++r$tickets;
		return T;
		}

	# The answer itself is the first to come: it took time to think.
	if ( r$tickets == 0 )
		r$waiting = F;
	r$tickets = -1;
	return F;
	}

# Before the client's Finished, and that itself.
function handshake_record(s: State, is_client: bool, content_type: count,
    length: count)
	{
	if ( ! s?$records )
		s$records = Records();

	local r = s$records;

	if ( is_client )
		{
		if ( ! is_finished(r, content_type, length) )
			return;

		r$finished = network_time();
		r$waiting = ! r$server_finished;
		}
	else if ( content_type == tls_data )
		r$is_13 = T;
	else
		r$server_finished = T;
	}

function server_record(c: connection, s: State, content_type: count,
    length: count)
	{
	local r = s$records;
	local ticket = content_type == tls_data && is_ticket(r, s?$request, length);

	if ( r$waiting )
		{
		r$waiting = F;
		# What was sent again came too late to tell.
		if ( c$history != sent_again )
			s$rec$finished_rtt = network_time() - r$finished;
		}

	if ( tls_records == 0 || ticket || content_type != tls_data )
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

	if ( ! s?$records || ! s$records?$finished )
		{
		handshake_record(s, is_client, content_type, length);
		return;
		}

	if ( ! is_client )
		server_record(c, s, content_type, length);
	else if ( content_type == tls_data )
		note_request(s);

	if ( tls_records > 0 && content_type == tls_data )
		add_size(s, is_client ? +length : -length);

	if ( s?$tls_followed
	    && ++s$records$after >= tls_records
	    && ( ! s$records$waiting || s$records$after >= tls_records + patience ) )
		let_go(c, s);
	}

# Where Zeek would let go.
hook Analyzer::disabling_analyzer(c: connection, atype: AllAnalyzers::Tag,
    aid: count)
	{
	if ( atype == Analyzer::ANALYZER_SSL
	    && c?$hopscope
	    && c$hopscope?$tls_followed )
		break;
	}

# The handshake is over, and Zeek about to let go.
event ssl_established(c: connection) &group="Hopscope::finished_times"
	{
	if ( ! c?$hopscope )
		return;

	local s = c$hopscope;

	if ( tls_records > 0 || ( s?$records && s$records$is_13 ) )
		s$tls_followed = T;
	}

# After a violation it would be in vain.
event analyzer_violation_info(tag: AllAnalyzers::Tag,
    info: AnalyzerViolationInfo) &priority=10 &group="Hopscope::finished_times"
	{
	if ( info?$c && info$c?$hopscope )
		delete info$c$hopscope$tls_followed;
	}
