// Package tunneltest plays, for tests, what a tunnel needs of a cluster: an API
// server that lists an operator's pods, says who is calling, makes tokens, and
// forwards ports as a kubelet does, over WebSocket or over SPDY alone. Only tests
// import it.
package tunneltest
