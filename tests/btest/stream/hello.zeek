# @TEST-DOC: The hello tells node, versions and the columns of each kind with their hash.
#
# @TEST-EXEC: zeek $PACKAGE %INPUT >output
# @TEST-EXEC: btest-diff output

redef Hopscope::stream_unheard = T;

event zeek_init() &priority=-100
	{
	local h = Hopscope::describe_node();
	print h$protocol, h$node, |h$boot| > 8, h$zeek == zeek_version(), h$package ==
	    Hopscope::version;
	for ( _, schema in h$schemas )
		{
		print schema$kind, schema$hash, |schema$columns|;
		print schema$hash == md5_hash(schema$kind + "\t" + join_string_vec(
		    schema$columns, "\t"))[:16];
		for ( _, column in schema$columns )
			print column;
		}
	}
