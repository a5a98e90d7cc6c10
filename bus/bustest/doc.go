// Package bustest gives tests of the bus and of its readers what they need: a
// running bus, a source of valid events, and a collector that accounts for every
// entry. Only tests import it.
package bustest
