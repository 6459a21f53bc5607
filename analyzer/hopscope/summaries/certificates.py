"""Whether a server's certificate was issued to the name that the client asked for, by its subject alone."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

# One part of a subject as RFC 4514 writes it: a backslash takes the next character along, quotes (RFC 1779) all
# that lies between.
_PART = r'(?:[^\\,+"]|\\.|"(?:[^"\\]|\\.)*")*'
_COMMON_NAME = rf"(?is)^(?:{_PART}[,+])*?\s*(?:CN|commonName|2\.5\.4\.3)\s*=\s*(?P<cn>{_PART})\s*(?:[,+]|$)"


def cert_fits(subject: pa.Array, issuer: pa.Array, self_signed: pa.Array, sni: pa.Array) -> pa.Array:
    """The subject's common name is the SNI or a wildcard for it, and another than the subject signed; bool.

    A wildcard stands for the whole first label (RFC 6125, 6.4.3), and not for all names of a top-level domain.
    Null without a certificate, a common name in it (many name their hosts in an extension alone), or an SNI, and
    where it isn't known who signed. False says no more than that the subject doesn't name it: an extension may.
    Neither the signature nor the signer was checked. The subject and the SNI are cut where records cut them.
    """
    if subject.null_count == len(subject) or sni.null_count == len(sni):
        return pa.nulls(len(subject), pa.bool_())
    asked = pc.utf8_lower(sni)
    asked = pc.if_else(pc.equal(asked, ""), pa.scalar(None, pa.string()), asked)
    bears = common_names(subject)
    parent = pc.replace_substring_regex(asked, r"^[^.]*\.", "")
    wild = pc.and_(
        pc.equal(bears, pc.binary_join_element_wise("*", parent, ".")),
        pc.match_substring_regex(asked, r"^[^.]+\.[^.]+\.[^.]"),
    )
    named = pc.or_(pc.equal(bears, asked), wild)
    same = pc.equal(subject, issuer)
    own = pc.coalesce(pc.or_kleene(self_signed, same), self_signed, same)  # sources may tell one of the two
    return pc.if_else(pc.is_valid(named), pc.and_kleene(named, pc.invert(own)), pa.scalar(None, pa.bool_()))


def common_names(subjects: pa.Array) -> pa.Array:
    """The first common name of each subject, the most specific one, in lower case; null when there is none.

    Escapes stay as they are: no host's name needs one. Subjects repeat, so that only distinct ones are read.
    """
    coded = subjects.dictionary_encode()
    found = pc.struct_field(pc.extract_regex(coded.dictionary, _COMMON_NAME), "cn")
    return pc.utf8_lower(pc.utf8_trim_whitespace(found)).take(coded.indices)
