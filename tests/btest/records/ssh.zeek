# @TEST-DOC: Banners and host key of SSH, and how fast its answers come.
#
# @TEST-EXEC: zcat $CAPTURES/benign.pcap.gz | zeek -C -r - $PACKAGE $SCRIPTS/seconds.zeek %INPUT >output
# @TEST-EXEC: btest-diff output

hook Hopscope::connection_ready(rec: Hopscope::Connection)
	{
	if ( rec?$ssh_client )
		print rec$ssh_client, rec$ssh_server, rec$ssh_host_key, rec$replies, seconds(
		    rec$reply_p10);
	}
