# @TEST-DOC: A finding makes one notice per hop and port, with its texts escaped and its lists cut.
#
# @TEST-EXEC: zeek $PACKAGE %INPUT
# @TEST-EXEC: grep -v '^#' notice.log | cut -f 11-16,21 >notices
# @TEST-EXEC: btest-diff notices

redef Hopscope::accept_findings = T;

module Hopscope;

function make(hop: addr): Finding
	{
	return Finding($id="hop-1", $hop=hop, $severity="high", $score_db=31.4,
	    $clients=vector(10.0.0.11, 10.0.0.12), $names=vector("a.example"),
	    $internal=F, $title="An external proxy hop");
	}

event zeek_init()
	{
	local f = make(198.51.100.7);
	f$service_p = 443/tcp;
	event finding(f);
	event finding(f);

	local other_port = copy(f);
	other_port$service_p = 8443/tcp;
	event finding(other_port);

	local inside = make(10.0.0.7);
	inside$internal = T;
	event finding(inside);

	local hostile = make(198.51.100.8);
	hostile$id = "\x1b]0;title\x07";
	hostile$severity = "critical\nfake";
	hostile$title = "caf\xc3\xa9 \xff\x00 and a line\nbreak";
	hostile$names = vector();
	hostile$clients = vector();
	local i = 0;
	while ( ++i <= 50 )
		{
		hostile$names += cat("name", i);
		hostile$clients += count_to_v4_addr(167772160 + i);
		}
	event finding(hostile);
	}
