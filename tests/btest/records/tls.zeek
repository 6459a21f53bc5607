# @TEST-DOC: TLS by way of a hop: the hellos and the Finished are answered later than the handshake is; names, fingerprints and certificates. The same without the parts that can be switched off.
#
# @TEST-EXEC: zcat $CAPTURES/socat-beacon.pcap.gz | zeek -C -r - $PACKAGE $SCRIPTS/seconds.zeek %INPUT Hopscope::tls_fingerprints=T >output
# @TEST-EXEC: zcat $CAPTURES/socat-beacon.pcap.gz | zeek -C -r - $PACKAGE $SCRIPTS/seconds.zeek %INPUT Hopscope::finished_times=F Hopscope::close_times=F >switched-off
# @TEST-EXEC: zcat $CAPTURES/socat-beacon.pcap.gz | zeek -C -r - $PACKAGE $SCRIPTS/seconds.zeek %INPUT Hopscope::tls_records=40 >records
# @TEST-EXEC: btest-diff output
# @TEST-EXEC: btest-diff switched-off
# @TEST-EXEC: btest-diff records

global told = 0;

hook Hopscope::connection_ready(rec: Hopscope::Connection)
	{
	if ( ! rec?$hello_rtt || ++told > 12 )
		return;

	print rec$orig_h, rec$resp_h, seconds(rec$tcp_rtt), seconds(rec$hello_rtt),
	    rec?$finished_rtt ? seconds(rec$finished_rtt) : "-", rec?$close_rtt ?
	    seconds(rec$close_rtt) : "-";
	print "  ", rec$tls_version, rec?$sni ? rec$sni : "-", rec?$alpn ? rec$alpn :
	    "-", rec$resumed, rec?$ja4 ? rec$ja4 : "-", rec?$server_hello ?
	    rec$server_hello : "-";
	if ( rec?$cert_sha256 )
		print "  ", rec$cert_subject, rec$cert_issuer, rec$cert_self_signed,
		    rec$cert_sha256;
	if ( rec?$tls_sizes )
		print "  ", rec$tls_sizes;
	if ( rec?$replies )
		print "  ", rec$replies, seconds(rec$reply_p10);
	}
