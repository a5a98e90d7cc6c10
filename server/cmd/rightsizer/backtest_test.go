package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rightsizer/rightsizer/watcher/recommend/backtest"
)

func TestBacktest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "usage.csv")
	values := strings.TrimSuffix(strings.Repeat("100 ", 3*288), " ")
	require.NoError(t, os.WriteFile(file, []byte(backtest.Header+"\na,cpu_mcores,300,,"+values+"\na,mem_mib,300,,"+values+"\n"), 0o600))
	code, out, errOut := call(t, "backtest", "--input", file, "-o", "json")
	require.Zero(t, code, errOut)
	assert.Contains(t, errOut, "1 of 1 series")
	var f backtest.Figures
	require.NoError(t, json.Unmarshal([]byte(out), &f))
	assert.Equal(t, 1, f.Series)
	assert.Zero(t, f.OOMPer1000ContainerDays)
	assert.InDelta(t, 1.12, f.MemoryLimitToUsage, 0.05)

	code, out, _ = call(t, "backtest", "--input", file, "--multiplier", "2")
	require.Zero(t, code)
	assert.Contains(t, out, "memory limit")

	require.NoError(t, os.WriteFile(file, []byte(backtest.Header+"\na,mem_mib,300,,1 x\n"), 0o600))
	code, _, errOut = call(t, "backtest", "--input", file)
	assert.Equal(t, exitFailure, code)
	assert.Contains(t, errOut, "line 2, field values: value 2")
	for _, args := range [][]string{{"backtest"}, {"backtest", "--input", file, "--multiplier", "0"}, {"backtest", "--input", "absent.csv"}, {"backtest", "convert"}} {
		code, _, errOut = call(t, args...)
		assert.Equal(t, exitUsage, code, errOut)
	}
}

// The help exports what the README does: the highest memory of each step, and CPU not
// added up over the jobs that scrape it.
func TestTheHelpExportsWhatTheReadmeDoes(t *testing.T) {
	code, help, _ := call(t, "backtest", "convert", "--help")
	require.Zero(t, code)
	readme, err := os.ReadFile("../../../watcher/recommend/README.md")
	require.NoError(t, err)
	for _, query := range []string{
		`max by (namespace, pod, container) (sum without (cpu, id, image, name) (rate(container_cpu_usage_seconds_total{WHERE}[5m])))`,
		`max by (namespace, pod, container) (max_over_time(container_memory_working_set_bytes{WHERE}[5m]))`,
	} {
		assert.Contains(t, help, strings.ReplaceAll(query, "WHERE", `container!=""`))
		assert.Contains(t, string(readme), strings.ReplaceAll(query, "WHERE", `namespace="shop",container!=""`))
	}
}
