# @TEST-DOC: What a SOCKS client asks for, and whether it is granted.
#
# @TEST-EXEC: zcat $CAPTURES/socks-microsocks.pcap.gz | zeek -C -r - $PACKAGE %INPUT >output
# @TEST-EXEC: btest-diff output

global told = 0;

hook Hopscope::connection_ready(rec: Hopscope::Connection)
	{
	if ( rec?$proxy_protocol && ++told <= 5 )
		print rec$service, rec$proxy_protocol, rec$proxy_target, rec$proxy_accepted,
		    rec?$sni ? rec$sni : "-";
	}
