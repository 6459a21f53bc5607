# @TEST-DOC: Batches are numbered per kind, go out by size, by bytes and by time, and what is left goes out at the end.
#
# @TEST-EXEC: zcat $CAPTURES/benign.pcap.gz | zeek -C -r - $PACKAGE %INPUT >output
# @TEST-EXEC: btest-diff output

redef Hopscope::stream_unheard = T;
redef Hopscope::batch_size = 3;
redef Hopscope::batch_interval = 50msec;

redef Hopscope::log_connections = F;

module Hopscope;

function make(uid: string)
	{
	hook connection_ready(Connection($ts=network_time(), $uid=uid, $sensor="zeek",
	    $orig_h=10.0.0.11, $orig_p=43210/tcp, $resp_h=198.51.100.7,
	    $resp_p=443/tcp, $proto="tcp", $seg=0, $seg_end=network_time(),
	    $final=T));
	}

hook batch_ready(kind: string, seq: count, lines: vector of string)
	{
	if ( kind == "dns_query" )
		return;

	for ( _, line in lines )
		print kind, seq, split_string(line, /\t/)[1];

	# which drops it
	if ( seq == 1 )
		break;
	}

event make_one(uid: string)
	{
	print "make", uid;
	make(uid);
	}

# The capture serves as a clock: its connections aren't sent.
hook finishing(c: connection, rec: Connection)
	{
	disable_event_group("Hopscope::stream");
	}

event network_time_init()
	{
	print "by size";
	for ( _, uid in vector("A", "B", "C", "D", "E", "F", "G") )
		make(uid);

	print "by bytes";
	Option::set("Hopscope::batch_bytes", 1);
	make("H");
	Option::set("Hopscope::batch_bytes", 1000000);

	print "by time";
	make("I");
	schedule 100msec { make_one("J") };
	schedule 200msec { make_one("K") };
	}

event zeek_done() &priority=-100
	{
	print count_sent()$counters[0];
	}
