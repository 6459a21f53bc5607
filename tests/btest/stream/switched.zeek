# @TEST-DOC: The stream can be switched off and on while Zeek runs; numbers go on where they were.
#
# @TEST-EXEC: zeek $PACKAGE %INPUT >output
# @TEST-EXEC: btest-diff output

redef Hopscope::stream_unheard = T;
redef Hopscope::batch_size = 2;

module Hopscope;

function make(uid: string)
	{
	hook dns_query_ready(DnsQuery($ts=network_time(), $uid=uid, $sensor="zeek",
	    $client=10.0.0.11, $resolver=10.0.0.53));
	}

hook batch_ready(kind: string, seq: count, lines: vector of string)
	{
	for ( _, line in lines )
		print kind, seq, split_string(line, /\t/)[1];
	}

event zeek_init() &priority=-100
	{
	make("A");
	print "off";
	Option::set("Hopscope::stream", F);
	make("B");
	print "on";
	Option::set("Hopscope::stream", T);
	make("C");
	make("D");
	print streaming(), count_sent()$counters[1];
	}
