##! For replays of captures: hopscope's two logs are written and no others, and costly options are on. Not loaded
##! with the package.

@load ./__load__

# A replay takes the time it takes.
redef Hopscope::on_starts = T;
redef Hopscope::session_payloads = 200;
redef Hopscope::tls_fingerprints = T;
redef Hopscope::tls_records = 200;

# A stream without a filter writes nothing, and still raises its event, which records rest on.
event zeek_init() &priority=-100
	{
	for ( stream in Log::active_streams )
		if ( stream != Hopscope::LOG && stream != Hopscope::DNS_LOG )
			Log::remove_default_filter(stream);
	}
