package source

import (
	"fmt"

	"github.com/rightsizer/rightsizer/watcher/meter"
)

// containers gathers the lines of one answer by container.
type containers struct {
	node   string
	byName map[containerName]*meter.Sample
	order  []*meter.Sample
}

type containerName struct{ namespace, pod, container string }

func newContainers(node string) *containers {
	return &containers{node: node, byName: make(map[containerName]*meter.Sample)}
}

// of finds the sample of the container that a line is about; nil for lines about
// something else, such as a pod's sandbox.
func (c *containers) of(l *line) (*meter.Sample, error) {
	name := containerName{l.label("namespace"), l.label("pod"), l.label("container")}
	if name.namespace == "" || name.pod == "" || name.container == "" || name.container == "POD" {
		return nil, nil //nolint:nilnil // Lines about nothing that counts are no error.
	}
	return c.named(name)
}

// whole is the sample of the node itself.
func (c *containers) whole() (*meter.Sample, error) { return c.named(containerName{}) }

func (c *containers) named(name containerName) (*meter.Sample, error) {
	s := c.byName[name]
	if s == nil {
		if len(c.order) >= maxContainers {
			return nil, fmt.Errorf("%w: more than %d containers", ErrTooLarge, maxContainers)
		}
		s = &meter.Sample{Namespace: name.namespace, Pod: name.pod, Container: name.container, Node: c.node}
		c.byName[name] = s
		c.order = append(c.order, s)
	}
	return s, nil
}

// pass hands over what was gathered.
func (c *containers) pass(take func(*meter.Sample)) {
	for _, s := range c.order {
		if s.Has != 0 {
			take(s)
		}
	}
}
