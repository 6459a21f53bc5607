##! Has NetControl drop the traffic of external hops.
##!
##! It takes more than the option: only clients with a certificate may be able to reach this node, and what must
##! never be blocked has to be named. Without that it is refused.
##!
##! A finding doesn't say by which way it came: whoever can publish to this node or to its cluster can have a host
##! blocked. That there is no other way in can't be seen from here, but for Broker peers of a node that is none of
##! a cluster; so who runs it has to say so.

@load base/frameworks/netcontrol
@load base/utils/site
@load ./findings

module Hopscope;

export {
	## Block external hops. Needs accept_findings, TLS with client certificates (listen_cert_file,
	## listen_key_file and listen_ca_file), only_door and never_block.
	option block = F;

	## Nobody else can publish to this node or its cluster: there is no other WebSocket server, and no Broker
	## peer or ZeroMQ client but the cluster's own. zeekctl opens such a server on the manager, without
	## certificates: always since Zeek 8.1 unless zeekctl.cfg has UseWebSocket = 0.
	const only_door = F &redef;

	## Networks that are never blocked: resolvers, gateways, partners. Local networks never are, whether they
	## stand here or not.
	option never_block: set[subnet] = {};

	## Findings of these severities lead to a block.
	option block_severities: set[string] = {"critical"};

	## For how long.
	option block_for = 1hr;

	## What keeps this node from blocking.
	##
	## Returns: The reason, or an empty string.
	global why_not_block: function(): string;
}

function why_not_block(): string
	{
	if ( ! listening() || ! clients_are_known() )
		return "findings must come over TLS from clients with certificates: set Hopscope::listen, listen_cert_file, listen_key_file and listen_ca_file";
	if ( ! only_door )
		return "whoever else can publish to this node or its cluster could block any host: close zeekctl's WebSocket server (UseWebSocket = 0 in zeekctl.cfg) and all other ways in, then set Hopscope::only_door";
	if ( stranger_came() )
		return "Hopscope::only_door is set, but a Broker peer has come";
	if ( |never_block| == 0 )
		return "name what must never be blocked, your resolvers at least, in Hopscope::never_block";
	return "";
	}

function refuse_block(id: string, wanted: bool): bool
	{
	local reason = wanted ? why_not_block() : "";
	if ( reason == "" )
		return wanted;

	Reporter::warning(fmt("Hopscope doesn't block: %s", reason));
	return F;
	}

hook finding_taken(f: Finding)
	{
	if ( ! block || f$severity !in block_severities || f$internal )
		return;

	# It may have been in order when the option was set.
	local reason = why_not_block();
	if ( reason != "" )
		{
		Reporter::warning(fmt("Hopscope doesn't block %s: %s", f$hop, reason));
		return;
		}

	if ( Site::is_local_addr(f$hop)
	    || Site::is_neighbor_addr(f$hop)
	    || f$hop in never_block )
		{
		Reporter::warning(fmt(
		    "Hopscope doesn't block %s: it is among what is never blocked",
		    f$hop));
		return;
		}

	if ( NetControl::drop_address(f$hop, block_for, "hopscope " + f$id) == "" )
		Reporter::warning(fmt(
		    "Hopscope can't block %s: no NetControl plugin took the rule",
		    f$hop));
	}

# After the node has begun to listen.
event zeek_init() &priority=-20
	{
	if ( Cluster::is_enabled() && Cluster::local_node_type() != Cluster::MANAGER )
		return;

	Option::set_change_handler("Hopscope::block", refuse_block);
	if ( block )
		Option::set("Hopscope::block", T);
	}
