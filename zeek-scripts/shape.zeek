##! What the first payload looks like: how many bits are set, how much of it is text.

@load ./opening
@load ./switches

module Hopscope;

export {
	## Tell the shape of first payloads of connections whose protocol isn't known at their end.
	option shapes = T;

	## Tell it for known protocols too.
	option shapes_of_known = F;
}

redef switches += {
	"Hopscope::shapes",
};

redef record State += {
	# The first payload.
	first: string &optional;
};

# Hexadecimal hex_digits by the number of bits that are set in them.
const hex_digits: table[count] of string_vec = {
	[1] = vector("1", "2", "4", "8"),
	[2] = vector("3", "5", "6", "9", "a", "c"),
	[3] = vector("7", "b", "d", "e"),
	[4] = vector("f"),
};

function bits_set(data: string): count
	{
	local hex = bytestring_to_hexstr(data);
	local bits = 0;

	for ( weight, set_of in hex_digits )
		for ( _, digit in set_of )
			bits += weight * count_substr(hex, digit);

	return bits;
	}

function longest_run(data: string): count
	{
	local longest = 0;

	for ( _, run in find_all_ordered(data, /[ -~]{4,}/) )
		if ( |run| > longest )
			longest = |run|;

	if ( longest > 0 )
		return longest;

	return /[ -~]{3}/ in data ? 3 : ( /[ -~]{2}/ in data ? 2 : ( /[ -~]/ in data ? 1 : 0 )
	    );
	}

hook requested(c: connection, s: State, data: string) &group="Hopscope::shapes"
	{
	s$first = data;
	}

hook finishing(c: connection, rec: Connection) &group="Hopscope::shapes"
	{
	if ( ! c?$hopscope
	    || ! c$hopscope?$first
	    || ( rec?$service && ! shapes_of_known ) )
		return;

	local data = c$hopscope$first;
	local size = |data|;

	# Each byte that isn't printable becomes \xNN.
	local unprintable = ( |clean(data)| - size ) / 3;

	rec$first_bits = bits_set(data) * 1.0 / size;
	rec$first_printable = 1.0 - unprintable * 1.0 / size;
	rec$first_run = longest_run(data);
	rec$first_head_printable = size >= 6 && data[:6] == /[ -~]{6}/;
	}
