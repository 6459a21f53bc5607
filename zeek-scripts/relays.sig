# HTRAN's message, in ASCII or UTF-16: the function takes the far end from it, and no match is logged.
signature hopscope-htran {
  ip-proto == tcp
  payload /^\[\x00?[sS]\x00?[eE]\x00?[rR]\x00?[vV]\x00?[eE]\x00?[rR]\x00?\]/
  eval Hopscope::names_far_end
}
