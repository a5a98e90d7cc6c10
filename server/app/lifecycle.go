package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// step is a part of the operator that runs.
type step struct {
	name string
	// run works until ctx ends, and returns when its goroutines are gone.
	run func(ctx context.Context) error
	// grace is how long it may take to return after that.
	grace time.Duration
}

// errLeft is the failure of a step that returned though nobody asked it to.
var errLeft = errors.New("ended by itself")

type running struct {
	step

	stop context.CancelFunc
	done chan error
}

// runSteps starts the steps in order and lets them run until ctx ends or one of
// them returns. Then beforeStop runs, and the steps are stopped one by one, the
// last first, each within its grace. The error joins what failed, by step.
//
// A step's context does not end with ctx, or all would stop at once.
func runSteps(ctx context.Context, logger *slog.Logger, steps []step, beforeStop func(context.Context) error) error {
	base := context.WithoutCancel(ctx)
	left := make(chan *running, len(steps))
	var started []*running
	for _, s := range steps {
		own, stop := context.WithCancel(base)
		r := &running{step: s, stop: stop, done: make(chan error, 1)}
		started = append(started, r)
		go func() {
			r.done <- s.run(own)
			left <- r
		}()
	}

	var errs []error
	select {
	case <-ctx.Done():
		logger.InfoContext(base, "stopping")
	case r := <-left:
		err := <-r.done
		if err == nil {
			err = errLeft
		}
		r.done <- nil // it is gone already
		logger.ErrorContext(base, "a part failed; stopping", slog.String("part", r.name), slog.Any("error", err))
		errs = append(errs, fmt.Errorf("%s: %w", r.name, err))
	}
	if err := beforeStop(base); err != nil {
		errs = append(errs, err)
	}
	for _, r := range slices.Backward(started) {
		if err := r.end(); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", r.name, err))
		}
	}
	return errors.Join(errs...)
}

// end stops the step and waits for it.
func (r *running) end() error {
	r.stop()
	timer := time.NewTimer(r.grace)
	defer timer.Stop()
	select {
	case err := <-r.done:
		if errors.Is(err, context.Canceled) {
			return nil // that is what it was told
		}
		return err
	case <-timer.C:
		return fmt.Errorf("did not end within %s", r.grace)
	}
}
