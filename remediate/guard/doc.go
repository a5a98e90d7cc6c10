// Package guard says whether an action may be carried out now. It is pure: each
// guard gives a verdict from Facts, which whoever asks has read from the live
// objects and from Remediations. Nothing is remembered in between, so that a
// restart, another leader or a second replica comes to the same answer.
//
// The guards are one ordered list (Guards). All of them are asked, so that the
// record of a decision shows every verdict; the first of the most severe outcome
// is the one that is told (Result.Decisive).
//
// They are asked when a Remediation is made, and again with fresh Facts right
// before each effect.
//
// Whoever asks for several Remediations one after the other adds each one it let
// through to the History of the next, before the API server's watch shows it;
// else two of them pass a budget for one.
package guard
