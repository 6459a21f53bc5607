# @TEST-DOC: Text from the wire: UTF-8 stays, control characters and what isn't valid are escaped, a backslash is doubled, what is too long is cut.
#
# @TEST-EXEC: zeek -b $PACKAGE/escape.zeek %INPUT >output
# @TEST-EXEC: btest-diff output

event zeek_init()
	{
	for ( _, s in vector("plain text", "a\tb\x00c\x7fd\\e",
	    "gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x99\x82", "\xff\xfe \xc3",
	    "\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xc2\x85", "") )
		print bytestring_to_hexstr(s), bytestring_to_hexstr(Hopscope::escape(s)),
		    |Hopscope::escape(s)|;

	print Hopscope::escape("abcdef", 3);
	print Hopscope::escape_rest("a\\x00\x01b");
	}
