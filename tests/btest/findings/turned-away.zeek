# @TEST-DOC: Without accept_findings nothing comes of a finding; with it, no more than the limit.
#
# @TEST-EXEC: zeek $PACKAGE %INPUT
# @TEST-EXEC: test ! -e notice.log
# @TEST-EXEC: zeek $PACKAGE %INPUT Hopscope::accept_findings=T Hopscope::finding_limit=3 2>warnings
# @TEST-EXEC: grep -v '^#' notice.log | cut -f 15 >hops
# @TEST-EXEC: btest-diff hops
# @TEST-EXEC: btest-diff warnings

module Hopscope;

event zeek_init()
	{
	local i = 0;
	while ( ++i <= 6 )
		event finding(Finding($id=cat("hop-", i), $hop=count_to_v4_addr(3325256704 + i),
		    $severity="high", $score_db=31.4, $clients=vector(),
		    $names=vector(), $internal=F,
		    $title="An external proxy hop"));
	}
