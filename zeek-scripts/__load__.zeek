##! hopscope: records of connections and DNS queries in which external proxy hops can be found.

@load ./records
@load ./escape
@load ./switches
@load ./main
@load ./logs
@load ./dns
@load ./timing
@load ./opening
@load ./tls
@load ./certificates
@load ./http
@load ./socks
@load ./ssh
@load ./stream_events
@load ./compat
@load ./lines
@load ./stream
@load ./listen
@load ./findings
@load ./intel
@load ./block
@load ./shape
@load ./replies
@load ./tls_records
@load ./closing
@load ./relays
