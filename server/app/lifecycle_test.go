package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// journal notes what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) step(name string, fail <-chan error) step {
	return step{name: name, grace: time.Second, run: func(ctx context.Context) error {
		select {
		case err := <-fail:
			return err
		case <-ctx.Done():
			j.add(name)
			return ctx.Err()
		}
	}}
}

func (j *journal) before(context.Context) error {
	j.add("before")
	return nil
}

func TestStepsStopInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- runSteps(ctx, slog.New(slog.DiscardHandler), []step{j.step("a", nil), j.step("b", nil), j.step("c", nil)}, j.before)
		}()
		synctest.Wait()
		assert.Empty(t, j.lines)
		cancel()
		require.NoError(t, <-done)
		assert.Equal(t, []string{"before", "c", "b", "a"}, j.lines)
	})
}

func TestAStepThatEndsStopsAll(t *testing.T) {
	for name, cause := range map[string]error{"with an error": errors.New("boom"), "without": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j, fail := &journal{}, make(chan error, 1)
				done := make(chan error, 1)
				go func() {
					done <- runSteps(t.Context(), slog.New(slog.DiscardHandler), []step{j.step("a", nil), j.step("b", fail), j.step("c", nil)}, j.before)
				}()
				fail <- cause
				err := <-done
				if cause == nil {
					cause = errLeft
				}
				require.ErrorIs(t, err, cause)
				require.ErrorContains(t, err, "b: ")
				assert.Equal(t, []string{"before", "c", "a"}, j.lines)
			})
		})
	}
}

func TestAStuckStepCostsItsGraceAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, release := &journal{}, make(chan struct{})
		stuck := step{name: "stuck", grace: 3 * time.Second, run: func(context.Context) error {
			<-release
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		err := runSteps(ctx, slog.New(slog.DiscardHandler), []step{j.step("a", nil), stuck, j.step("c", nil)}, func(context.Context) error {
			return errors.New("streams stay")
		})
		require.ErrorContains(t, err, "stop stuck: did not end within 3s")
		require.ErrorContains(t, err, "streams stay")
		assert.Equal(t, 3*time.Second, time.Since(began))
		assert.Equal(t, []string{"c", "a"}, j.lines)
		close(release)
	})
}

func TestTheStopFitsIntoItsBound(t *testing.T) {
	total := 4*time.Second + opsGrace + time.Second + 3*time.Second + 2*time.Second + apiGrace + eventsGrace
	assert.Less(t, total, 20*time.Second, "streams, ops, bus, watcher, certificates and health, API, events")
	assert.True(t, slices.IsSorted([]time.Duration{opsGrace, eventsGrace, apiGrace}))
}
