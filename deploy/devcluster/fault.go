package devcluster

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// A component that ends by itself is started again, as it would be in a real
// cluster, but not for ever.
const (
	restartDelay  = time.Second
	restartLimit  = 5 // within restartWindow
	restartWindow = time.Minute
)

// watch starts the component again when it ends by itself. Each process has a
// watch of its own; it ends with the process or with the cluster.
func (c *Cluster) watch(p *process) {
	select {
	case <-p.exited:
	case <-c.stopping:
		return
	}
	if !p.endedByItself() {
		return
	}
	c.mu.Lock()
	ready := c.state.Phase == Ready
	c.mu.Unlock()
	if !ready {
		return // the start notices, and gives up
	}
	select {
	case <-time.After(restartDelay):
	case <-c.stopping:
		return
	}
	c.faults.Lock()
	defer c.faults.Unlock()
	c.mu.Lock()
	current := c.processes[p.name]
	c.mu.Unlock()
	select {
	case <-c.stopping:
		return
	default:
	}
	if current != p {
		return // somebody has dealt with it meanwhile
	}
	if err := c.allowRestart(p); err != nil {
		c.fail(err)
		return
	}
	if err := c.run(p.name); err != nil {
		c.fail(err)
	}
}

// allowRestart counts a restart, or says why there shall be no further one. It
// needs c.faults.
func (c *Cluster) allowRestart(p *process) error {
	now := time.Now()
	var recent []time.Time
	for _, t := range c.restarts[p.name] {
		if now.Sub(t) < restartWindow {
			recent = append(recent, t)
		}
	}
	if len(recent) >= restartLimit {
		return fmt.Errorf("%w (%d times within %s)", p.failure(), len(recent)+1, restartWindow)
	}
	c.restarts[p.name] = append(recent, now)
	return nil
}

func (c *Cluster) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		c.state.Message = "failed: " + err.Error()
		c.writeState()
		close(c.failed)
	}
}

// Kill ends a component at once, as a crash of it would, and returns when it is
// gone. It stays away until Restart; connections to it are refused meanwhile.
func (c *Cluster) Kill(name Component) error {
	return c.withProcess(name, (*process).kill)
}

// Pause stops a component without ending it, as a hung machine would:
// connections stay open and nothing answers.
func (c *Cluster) Pause(name Component) error {
	return c.withProcess(name, func(p *process) error { return p.signal(syscall.SIGSTOP) })
}

// Continue lets a paused component run on.
func (c *Cluster) Continue(name Component) error {
	return c.withProcess(name, func(p *process) error { return p.signal(syscall.SIGCONT) })
}

// Restart ends a component gently when it runs, starts it on the same port, and
// returns when the API server answers.
func (c *Cluster) Restart(ctx context.Context, name Component) error {
	ctx, release := c.joined(ctx)
	defer release()
	err := c.withProcess(name, func(p *process) error {
		return errors.Join(p.stop(), c.run(name))
	})
	if err != nil {
		return err
	}
	return c.awaitAPIServer(ctx)
}

// withProcess does something to a component that was started.
func (c *Cluster) withProcess(name Component, do func(*process) error) error {
	c.faults.Lock()
	defer c.faults.Unlock()
	c.mu.Lock()
	p := c.processes[name]
	c.mu.Unlock()
	if p == nil {
		return fmt.Errorf("%s is no running component of cluster %s", name, c.options.Name)
	}
	if err := do(p); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeState()
	return nil
}
