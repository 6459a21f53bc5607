##! The server's certificate: who it says it is, and its hash.

@load base/protocols/ssl
@load base/files/x509
@load ./escape
@load ./main

module Hopscope;

hook finishing(c: connection, rec: Connection)
	{
	if ( ! c?$ssl || ! c$ssl?$cert_chain || |c$ssl$cert_chain| == 0 )
		return;

	local der = c$ssl$cert_chain[0];

	if ( der?$sha256 )
		rec$cert_sha256 = der$sha256;

	if ( ! der?$x509 )
		return;

	local certificate = der$x509$certificate;
	rec$cert_subject = escape_rest(certificate$subject);
	rec$cert_issuer = escape_rest(certificate$issuer);
	rec$cert_self_signed = certificate$subject == certificate$issuer;
	}
