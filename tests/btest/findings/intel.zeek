# @TEST-DOC: An external hop becomes an indicator when asked; a relay inside and a local address never do.
#
# @TEST-EXEC: zeek $PACKAGE %INPUT >output
# @TEST-EXEC: zeek $PACKAGE %INPUT Hopscope::feed_intel=T >>output
# @TEST-EXEC: btest-diff output

redef Hopscope::accept_findings = T;
redef Site::private_address_space_is_local = F;
redef Site::local_nets = {10.0.0.0/8};

module Hopscope;

function make(hop: addr, internal: bool)
	{
	event finding(Finding($id="hop-1", $hop=hop, $severity="high", $score_db=31.4,
	    $clients=vector(), $names=vector(), $internal=internal,
	    $title="An external proxy hop"));
	}

hook Intel::seen_policy(s: Intel::Seen, found: bool)
	{
	print s$host, found;
	}

event look()
	{
	for ( _, hop in vector(198.51.100.7, 10.0.0.7, 198.51.100.8) )
		Intel::seen(Intel::Seen($host=hop, $where=Intel::IN_ANYWHERE));
	}

event zeek_init() &priority=-100
	{
	print feed_intel;
	make(198.51.100.7, F);
	make(10.0.0.7, F);
	make(198.51.100.8, T);
	schedule 0sec { look() };
	}
