# @TEST-DOC: The stream's lines are the logs' lines, byte for byte.
#
# @TEST-EXEC: zcat $CAPTURES/socks-microsocks.pcap.gz | zeek -C -r - $PACKAGE %INPUT
# @TEST-EXEC: grep -v '^#' hopscope.log | cmp - connection.lines
# @TEST-EXEC: grep -v '^#' hopscope_dns.log | cmp - dns_query.lines

redef Hopscope::stream_unheard = T;

global files: table[string] of file;

hook Hopscope::batch_ready(kind: string, seq: count, lines: vector of string)
	{
	if ( kind !in files )
		files[kind] = open(kind + ".lines");
	for ( _, line in lines )
		write_file(files[kind], line + "\n");
	}
