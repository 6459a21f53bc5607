##! Switching the costly parts: each is an event group that bears the name of its option.

module Hopscope;

export {
	## Options of type bool that switch the event group of their name; "off" costs nothing.
	const switches: set[string] = set() &redef;
}

function switch_part(id: string, on: bool): bool
	{
	if ( on )
		enable_event_group(id);
	else
		disable_event_group(id);

	return on;
	}

event zeek_init() &priority=10
	{
	for ( id in switches )
		{
		switch_part(id, lookup_ID(id) as bool);
		Option::set_change_handler(id, switch_part);
		}
	}
