# The first payload each way: the functions note it, and no match is logged or raised.

signature hopscope-first-request {
  ip-proto == tcp
  payload /^(.|\n)/
  tcp-state originator
  eval Hopscope::first_request
}

signature hopscope-first-answer {
  ip-proto == tcp
  payload /^(.|\n)/
  tcp-state responder
  eval Hopscope::first_answer
}
