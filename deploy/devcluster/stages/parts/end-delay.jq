# a leak takes from its base to the limit; a need that is too large, or an exit code, the annotated seconds
(if too_small or leak <= 0 then number("after"; "3")
  else ([memory_limit - ((annotation("usage-memory") // "0") | mib), 0] | max) / leak * 60 end) as $seconds
| (target.state.running.startedAt | fromdate) + $seconds | floor | todate
