"""hopscope finds external proxy hops (MITRE ATT&CK T1090.002) and explains how it came to each."""

__version__ = "0.1.0"
