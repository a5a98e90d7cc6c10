package app

import "github.com/rightsizer/rightsizer/server/rpc"

// sizing is what a Cluster recommends, nil where it measures nothing.
func sizing(c Cluster) rpc.Sizing {
	s, _ := c.(rpc.Sizing)
	return s
}
