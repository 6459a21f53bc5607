# HTRAN's message, in ASCII or UTF-16: the function takes the far end from it, and no match is logged.
signature hopscope-htran {
  ip-proto == tcp
  payload /^\[\x00?[sS]\x00?[eE]\x00?[rR]\x00?[vV]\x00?[eE]\x00?[rR]\x00?\]/
  eval Hopscope::names_far_end
}

# chisel's SSH banner in the first frame of its websocket; what serves unmasks nothing, so that it stands there as it is.
signature hopscope-chisel {
  ip-proto == tcp
  payload /^HTTP\/1\.[01] 101 .*\x82.SSH-chisel-v[0-9]+-server/
  eval Hopscope::names_chisel
}
