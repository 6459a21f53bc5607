##! What the analyzer found comes back as events; here they become notices, when that is wanted.
##!
##! Nothing of such an event is trusted beyond its types: texts are escaped and cut, lists cut, and the number of
##! hops that are taken in is limited.

@load base/frameworks/notice
@load base/utils/site
@load ./compat
@load ./escape
@load ./listen
@load ./stream_events
@load ./switches

module Hopscope;

export {
	redef enum Notice::Type += {
		## A host outside relays our clients' connections onwards.
		External_Proxy_Hop,
		## A host of ours relays connections.
		Internal_Relay,
	};

	## Take findings in.
	option accept_findings = F;

	## For how long the same hop makes no further notice.
	option finding_suppression = 1day;

	## How many hops and ports are taken in per day; what goes beyond is turned away and reported once.
	option finding_limit = 1000;

	## A finding has been taken in. Its texts are escaped and cut by now, its lists cut.
	##
	## f: The finding.
	global finding_taken: hook(f: Finding);
}

redef switches += {"Hopscope::accept_findings"};

const severities = set("info", "low", "medium", "high", "critical");
const told_at_most = 20;

# Hop and port of each finding of the last day.
global findings_taken: set[string] &create_expire=1day;
global limit_was_told = F;

function head_of_texts(texts: vector of string): vector of string
	{
	local head: vector of string = vector();
	for ( i, text in texts )
		if ( i < told_at_most )
			head += escape(text);
	return head;
	}

# The finding as it may be told: valid, visible and bounded.
function cleaned(f: Finding): Finding
	{
	local told = copy(f);
	told$id = escape(f$id);
	told$severity = f$severity in severities ? f$severity : "unknown";
	told$title = escape(f$title, line_limit);
	told$names = head_of_texts(f$names);
	if ( |f$clients| > told_at_most )
		told$clients = f$clients[:told_at_most];
	return told;
	}

function identifier(f: Finding): string
	{
	return f?$service_p ? cat(f$hop, " ", f$service_p) : cat(f$hop);
	}

function within_limit(f: Finding): bool
	{
	local known = identifier(f);
	if ( known in findings_taken )
		return T;

	if ( |findings_taken| < finding_limit )
		{
		limit_was_told = F;
		add findings_taken[known];
		return T;
		}

	if ( ! limit_was_told )
		Reporter::warning(fmt("more than %d findings came within a day; the rest is turned away",
		    finding_limit));
	limit_was_told = T;
	return F;
	}

function raise_notice(f: Finding)
	{
	local parts: vector of string = vector();
	for ( _, client in f$clients )
		parts += cat(client);
	local others = |parts| == 0 ? "" : "clients: " + join_string_vec(parts, " ");
	if ( |f$names| > 0 )
		others += ( others == "" ? "" : "; " ) + "names: " + join_string_vec(f$names,
		    " ");

	local notice = Notice::Info(
	    $note=f$internal ? Internal_Relay : External_Proxy_Hop, $msg=fmt(
	    "%s (%s, %.0f dB, %s)", f$title, f$severity, f$score_db, f$id),
	    $sub=others, $dst=f$hop, $identifier=identifier(f),
	    $suppress_for=finding_suppression);
	if ( f?$service_p )
		notice$p = f$service_p;
	if ( |f$clients| > 0 )
		notice$src = f$clients[0];
	NOTICE(notice);
	}

event finding(f: Finding) &group="Hopscope::accept_findings"
	{
	if ( ! within_limit(f) )
		return;

	local told = cleaned(f);
	raise_notice(told);
	hook finding_taken(told);
	}

# One node takes them in: the manager of a cluster, or a node of its own.
event zeek_init() &priority=-15
	{
	if ( Cluster::is_enabled() ? Cluster::local_node_type() == Cluster::MANAGER :
	    listening() || ! reading_traces() )
		subscribe(findings_topic);
	}
