# @TEST-DOC: Under -r nothing listens and nothing is made up for the stream, unless asked.
#
# @TEST-EXEC: zcat $CAPTURES/benign.pcap.gz | zeek -C -r - $PACKAGE %INPUT >output
# @TEST-EXEC: zcat $CAPTURES/benign.pcap.gz | zeek -C -r - $PACKAGE %INPUT Hopscope::stream_unheard=T Hopscope::stream=F >>output
# @TEST-EXEC: zcat $CAPTURES/benign.pcap.gz | zeek -C -r - $PACKAGE %INPUT Hopscope::stream_unheard=T >>output
# @TEST-EXEC: btest-diff output

redef Hopscope::listen = T;

global batches = 0;

hook Hopscope::batch_ready(kind: string, seq: count, lines: vector of string)
	{
	++batches;
	}

event zeek_done() &priority=-100
	{
	print Hopscope::listening(), Hopscope::streaming(), batches > 0;
	}
