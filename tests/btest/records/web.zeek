# @TEST-DOC: The first HTTP request, later replies, a proxy asked by CONNECT, also with a word too many, or by a whole URL; bytes that aren't text are escaped.
#
# @TEST-EXEC: zeek -C -r $TRACES/web.pcap $PACKAGE $SCRIPTS/seconds.zeek %INPUT >output
# @TEST-EXEC: btest-diff output

hook Hopscope::connection_ready(rec: Hopscope::Connection)
	{
	print rec$http_method, rec?$http_host ? rec$http_host : "-", rec?$user_agent ?
	    rec$user_agent : "-";
	print "  first reply", seconds(rec$first_reply), "later", rec?$replies ? cat(
	    rec$replies, " ", rec$reply_p10) : "-";
	if ( rec?$proxy_protocol )
		print "  ", rec$proxy_protocol, rec$proxy_target, rec$proxy_accepted;
	}
