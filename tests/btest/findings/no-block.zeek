# @TEST-DOC: Blocking is refused, loudly, without TLS and client certificates; a finding then blocks nothing.
#
# @TEST-EXEC: zeek $PACKAGE %INPUT Hopscope::block=T 2>warnings | grep -v '^netcontrol debug' >output
# @TEST-EXEC: zeek $PACKAGE %INPUT Hopscope::block=T Hopscope::listen_cert_file=x Hopscope::listen_key_file=x 2>>warnings | grep -v '^netcontrol debug' >>output
# @TEST-EXEC: btest-diff output
# @TEST-EXEC: grep Hopscope warnings >refusals
# @TEST-EXEC: btest-diff refusals
# @TEST-EXEC: test ! -e netcontrol_drop.log

redef Hopscope::accept_findings = T;
redef Hopscope::never_block += {198.51.100.53/32};

module Hopscope;

event NetControl::init()
	{
	NetControl::activate(NetControl::create_debug(T), 0);
	}

event zeek_init() &priority=-100
	{
	print "at the start", block;
	Option::set("Hopscope::block", T);
	print "while it runs", block;
	event finding(Finding($id="hop-1", $hop=198.51.100.7, $severity="critical",
	    $score_db=61.4, $clients=vector(), $names=vector(), $internal=F,
	    $title="An external proxy hop"));
	}
