##! Relays that name their far end, or themselves, in clear.

@load ./escape
@load ./main

@load-sigs ./relays

module Hopscope;

# HTRAN answers so when the server behind it can't be reached (SecureWorks 2011, "HTran and the Advanced
# Persistent Threat").
const htran = /\[SERVER\][ \t\r\n]*connection to [A-Za-z0-9_.\-\[\]:]{1,255}:[0-9]{1,5} error/i;

function names_far_end(match: signature_state, data: string): bool
	{
	local rec = state(match$conn)$rec;

	if ( rec?$leaked_far_end )
		return T;

	# In UTF-16 every other byte is 0.
	local line = find_first(subst_string(data, "\x00", ""), htran);

	if ( line == "" )
		return F;

	local far_end = find_first(line, /[^ ]+:[0-9]+/);
	local port_at = rfind_str(far_end, ":");
	local far_port = to_count(far_end[port_at + 1 :]);

	if ( far_port > 0 && far_port < 65536 )
		rec$leaked_far_end = fmt("%s:%d", escape(far_end[:port_at]), far_port);

	return T;
	}

# chisel puts its own version in SSH's place (its share/version.go), so that the SSH analyzer turns it down.
function names_chisel(match: signature_state, data: string): bool
	{
	local rec = state(match$conn)$rec;
	local banner = find_first(data, /SSH-chisel-v[0-9]+-server/);

	if ( banner == "" )
		return F;

	rec$ssh_server = escape(banner);
	return T;
	}
