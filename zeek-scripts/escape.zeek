##! Text from the wire as valid, visible, bounded text.

module Hopscope;

export {
	## Bytes of a name that are told.
	const name_limit = 255 &redef;

	## Bytes of a line, such as a User-Agent or a certificate's subject, that are told.
	const line_limit = 1024 &redef;

	## Escape a text from the wire: control characters and what isn't UTF-8 become \xNN byte by byte, a
	## backslash is doubled so that the two can't be confused.
	##
	## s: The bytes.
	##
	## limit: How many of them are told.
	##
	## Returns: Valid UTF-8 without control characters.
	global escape: function(s: string, limit: count &default=name_limit): string;

	## Escape a text in which Zeek has escaped bytes already: backslashes stay as they are.
	##
	## s: The text.
	##
	## limit: How many bytes of it are told.
	##
	## Returns: Valid UTF-8 without control characters.
	global escape_rest: function(s: string, limit: count &default=line_limit)
	    : string;
}

# Nothing in it needs an escape.
const needs_no_escape = /[ -\[\]-~]*/;

# Beyond ASCII: a character of UTF-8 that isn't a control character (U+0080 to U+009F) or a surrogate.
const wide_character = /\xc2[\xa0-\xbf]|[\xc3-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}/;

# Each is a run of plain bytes, one character beyond ASCII, or a byte that needs an escape.
const escape_units = /[ -\[\]-~]+|\xc2[\xa0-\xbf]|[\xc3-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x00-\xff]/;

function escape_pieces(s: string, backslash: string): string
	{
	local out = "";

	for ( _, piece in find_all_ordered(s, escape_units) )
		{
		if ( piece == "\\" )
			out += backslash;
		else if ( piece == needs_no_escape || piece == wide_character )
			out += piece;
		else
			out += "\\x" + bytestring_to_hexstr(piece);
		}

	return out;
	}

function escape(s: string, limit: count): string
	{
	if ( |s| > limit )
		s = s[:limit];

	return s == needs_no_escape ? s : escape_pieces(s, "\\\\");
	}

function escape_rest(s: string, limit: count): string
	{
	if ( |s| > limit )
		s = s[:limit];

	return s == needs_no_escape ? s : escape_pieces(s, "\\");
	}
