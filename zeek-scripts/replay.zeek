##! For replays of captures: hopscope's two logs are written and no others. Not loaded with the package.

@load ./__load__

# A stream without a filter writes nothing, and still raises its event, which records rest on.
event zeek_init() &priority=-100
	{
	for ( stream in Log::active_streams )
		if ( stream != Hopscope::LOG && stream != Hopscope::DNS_LOG )
			Log::remove_default_filter(stream);
	}
