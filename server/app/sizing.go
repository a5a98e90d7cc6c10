package app

import (
	"github.com/rightsizer/rightsizer/server/rpc"
	"github.com/rightsizer/rightsizer/watcher"
)

var _ rpc.Sizing = (*watcher.Watcher)(nil)

// sizing is what a Cluster recommends, nil where it measures nothing.
func sizing(c Cluster) rpc.Sizing {
	s, _ := c.(rpc.Sizing)
	return s
}
