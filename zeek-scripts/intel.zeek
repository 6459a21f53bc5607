##! Feeds hops outside our networks to the Intel framework, so that Zeek itself tells of every further connection.

@load base/frameworks/intel
@load base/utils/site
@load ./findings

module Hopscope;

export {
	## Insert the address of an external hop as an indicator.
	option feed_intel = F;

	## The source that is named with the indicators.
	const intel_source = "hopscope" &redef;
}

hook finding_taken(f: Finding)
	{
	if ( ! feed_intel || f$internal || Site::is_local_addr(f$hop) )
		return;

	Intel::insert(Intel::Item($indicator=cat(f$hop), $indicator_type=Intel::ADDR,
	    $meta=Intel::MetaData($source=intel_source, $desc=f$title)));
	}
