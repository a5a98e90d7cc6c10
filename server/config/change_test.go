package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/server/config"
)

func TestLiveSettingsAreAdoptedAndNoOthers(t *testing.T) {
	other := map[string]string{
		"log-level": "warn", "requests-per-second": "60", "price-core-hour": "0.031", "price-gib-hour": "0.5",
		"ring-entries": "64", "grpc-bind-address": ":1", "prometheus-url": "https://u:p@x/", "outbound-networks": "10.0.0.0/8",
	}
	flags := map[string]string{}
	live := 0
	for _, s := range config.Settings() {
		switch {
		case other[s.Key] != "":
			flags[s.Key] = other[s.Key]
		case s.Live && s.Kind == "duration":
			flags[s.Key] = "59m59s"
			if s.Key == "probe-quiet" {
				flags[s.Key] = "59m"
			}
		case s.Live:
			flags[s.Key] = "99"
			if s.Key == "request-burst" {
				flags[s.Key] = "999"
			}
			if s.Key == "underutilized-percent" {
				flags[s.Key] = "98"
			}
		}
		if s.Live {
			live++
		}
	}
	next, err := config.Load(config.Input{Flags: flags})
	require.NoError(t, err)
	before := config.Default()
	adopted := config.Adopt(before, next.Config)

	changes := config.Changes(&before, &adopted)
	assert.Len(t, changes, live, "each live setting")
	for _, c := range changes {
		assert.True(t, c.Live, c.Key)
		assert.Equal(t, flags[c.Key], c.To, c.Key)
	}
	var waiting []string
	for _, c := range config.Changes(&adopted, &next.Config) {
		assert.False(t, c.Live, c.Key)
		waiting = append(waiting, c.String())
	}
	assert.Equal(t, []string{"grpc-bind-address", "outbound-networks", "ring-entries: 4096 → 64", "prometheus-url"}, waiting, "addresses are not repeated")
}

func TestProblemsOneByOne(t *testing.T) {
	_, err := config.Load(config.Input{Flags: map[string]string{"log-level": "loud", "ring-entries": "1"}})
	var keys []string
	for _, p := range config.Problems(err) {
		keys = append(keys, p.Key)
	}
	assert.Equal(t, []string{"ring-entries", "log-level"}, keys)
	assert.Empty(t, config.Problems(nil))
}
