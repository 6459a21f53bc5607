# @TEST-DOC: Blocking is refused while it isn't said that there is no other way in; and when it is, but a Broker peer comes.
#
# @TEST-REQUIRES: which openssl
# @TEST-PORT: LISTEN_PORT
# @TEST-PORT: BROKER_PORT
#
# @TEST-EXEC: openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=hopscope 2>openssl.out
# @TEST-EXEC: zeek $PACKAGE %INPUT at-once.zeek 2>warnings | grep -v '^netcontrol debug' >output
# @TEST-EXEC: btest-bg-run peer zeek -b ../peer.zeek
# @TEST-EXEC: zeek $PACKAGE %INPUT when-a-peer-comes.zeek Hopscope::only_door=T 2>>warnings | grep -v '^netcontrol debug' >>output
# @TEST-EXEC: btest-bg-wait 20
# @TEST-EXEC: btest-diff output
# @TEST-EXEC: grep Hopscope warnings >refusals
# @TEST-EXEC: btest-diff refusals
# @TEST-EXEC: test ! -e netcontrol_drop.log

redef exit_only_after_terminate = T;
redef Hopscope::listen = T;
redef Hopscope::listen_port = to_port(getenv("LISTEN_PORT"));
redef Hopscope::listen_cert_file = "cert.pem";
redef Hopscope::listen_key_file = "key.pem";
redef Hopscope::listen_ca_file = "cert.pem";
redef Hopscope::accept_findings = T;
redef Hopscope::block = T;
redef Hopscope::never_block += {198.51.100.53/32};

module Hopscope;

event NetControl::init()
	{
	NetControl::activate(NetControl::create_debug(T), 0);
	}

event end()
	{
	terminate();
	}

event find_hop()
	{
	print "block", block;
	event finding(Finding($id="hop-1", $hop=198.51.100.7, $severity="critical",
	    $score_db=61.4, $clients=vector(), $names=vector(), $internal=F,
	    $title="An external proxy hop"));
	event end();
	}

# @TEST-START-FILE at-once.zeek
module Hopscope;

event NetControl::init_done() &priority=-100
	{
	event find_hop();
	}
# @TEST-END-FILE
# @TEST-START-FILE when-a-peer-comes.zeek
module Hopscope;

event zeek_init()
	{
	Broker::listen("127.0.0.1", to_port(getenv("BROKER_PORT")));
	}

event Broker::peer_added(endpoint: Broker::EndpointInfo, msg: string)
    &priority=-5
	{
	event find_hop();
	}
# @TEST-END-FILE
# @TEST-START-FILE peer.zeek
@load base/frameworks/broker

redef exit_only_after_terminate = T;

event zeek_init()
	{
	Broker::peer("127.0.0.1", to_port(getenv("BROKER_PORT")), 1sec);
	}

event Broker::peer_lost(endpoint: Broker::EndpointInfo, msg: string)
	{
	terminate();
	}
	# @TEST-END-FILE
