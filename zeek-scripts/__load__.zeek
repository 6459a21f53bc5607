##! hopscope: records of connections and DNS queries in which external proxy hops can be found.

@load ./records
@load ./escape
@load ./switches
@load ./main
@load ./logs
@load ./dns
@load ./timing
