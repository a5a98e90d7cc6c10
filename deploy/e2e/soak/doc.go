// Package soak holds the finished binary against a real control plane for as long
// as SOAKTIME says (default 10m), with build tag soak: `make soak`.
//
// A cluster in which everything goes wrong at once feeds an operator. Twenty
// streams over all protocols come and go, the API server restarts all the time,
// and in the first half the operator is killed again and again. What must hold:
//
//   - every reader of everything sees the same sequence: what follows a position is
//     the same for all of them, across their reconnects, or a loss is told
//     (ledger_test.go);
//   - an id never stands for two causes, nor a cause for two ids, across the
//     operator's lives;
//   - in the second half, when the operator lives, its resident memory rises by no
//     more than 8 MiB and 1 MiB a minute beyond its warm-up, by least squares, and
//     without clients it has no more goroutines than before, but for the few that
//     a watch may have in hand.
//
// Another cluster has its operator killed SOAKKILLS times (default 200), each at a
// random moment of a repair: no effect is made twice and none is without its record,
// by the API server's audit log, and every record comes to its end (kills_test.go).
package soak
