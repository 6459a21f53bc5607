##! For a Zeek of its own, without a cluster: it listens for an analyzer on this host, and has what that takes in
##! its version. Not loaded with the package: `@load hopscope/standalone`.

@load base/frameworks/cluster
@load ./__load__

redef Hopscope::listen = T;

# Since 8.1 there is no back end unless one is chosen, and without one a client gets nothing.
@ifdef ( Cluster::CLUSTER_BACKEND_NONE )
@if ( Cluster::backend == Cluster::CLUSTER_BACKEND_NONE )
@load frameworks/cluster/backend/zeromq
redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;
@endif
@endif

# Before 7.2 the server is Broker's, which speaks TLS, without certificates, unless told not to.
@ifndef ( Cluster::listen_websocket )
redef Broker::disable_ssl = T;
@endif
