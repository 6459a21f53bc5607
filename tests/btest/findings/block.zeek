# @TEST-DOC: With TLS, client certificates, no other way in and a never-block list a critical external hop is blocked, and no other.
#
# @TEST-REQUIRES: which openssl
# @TEST-PORT: LISTEN_PORT
#
# @TEST-EXEC: openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=hopscope 2>openssl.out
# @TEST-EXEC: zeek $PACKAGE %INPUT 2>warnings | grep -v '^netcontrol debug' >output
# @TEST-EXEC: btest-diff output
# @TEST-EXEC: grep Hopscope warnings >refusals
# @TEST-EXEC: btest-diff refusals

redef exit_only_after_terminate = T;
redef Site::private_address_space_is_local = F;
redef Site::local_nets = {10.0.0.0/8};
redef Site::neighbor_nets = {192.0.2.0/24};
redef Hopscope::listen = T;
redef Hopscope::listen_port = to_port(getenv("LISTEN_PORT"));
redef Hopscope::listen_cert_file = "cert.pem";
redef Hopscope::listen_key_file = "key.pem";
redef Hopscope::listen_ca_file = "cert.pem";
redef Hopscope::accept_findings = T;
redef Hopscope::only_door = T;
redef Hopscope::block = T;
redef Hopscope::never_block += {198.51.100.53/32};

module Hopscope;

function make(hop: addr, severity: string, internal: bool)
	{
	event finding(Finding($id="hop-1", $hop=hop, $severity=severity,
	    $score_db=61.4, $clients=vector(), $names=vector(),
	    $internal=internal, $title="An external proxy hop"));
	}

event NetControl::init()
	{
	NetControl::activate(NetControl::create_debug(T), 0);
	}

hook NetControl::rule_policy(r: NetControl::Rule)
	{
	print r$ty, r$entity$ip, r$expire;
	}

event NetControl::init_done() &priority=-100
	{
	print "block", block;
	make(198.51.100.7, "critical", F);
	make(198.51.100.8, "high", F);
	make(198.51.100.9, "critical", T);
	make(198.51.100.53, "critical", F);
	make(10.0.0.7, "critical", F);
	make(192.0.2.7, "critical", F);
	terminate();
	}
