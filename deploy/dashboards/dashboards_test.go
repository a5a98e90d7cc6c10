package dashboards_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type dashboard struct {
	UID    string `json:"uid"`
	Title  string `json:"title"`
	Panels []struct {
		ID          int    `json:"id"`
		Type        string `json:"type"`
		Title       string `json:"title"`
		Description string `json:"description"`
		GridPos     struct{ H, W, X, Y int }
		Targets     []struct {
			RefID string `json:"refId"`
			Expr  string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

// What Grafana fills in.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$job", ".+", "$instance", ".+")

func TestDashboards(t *testing.T) {
	known := metrics(t)
	files, err := filepath.Glob("*.json")
	require.NoError(t, err)
	require.Len(t, files, 2)
	uids := map[string]bool{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var d dashboard
		require.NoError(t, json.Unmarshal(raw, &d), file)
		assert.NotEmpty(t, d.Title)
		assert.False(t, uids[d.UID], "two dashboards are %s", d.UID)
		uids[d.UID] = true
		ids, taken := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			where := file + ": " + p.Title
			assert.False(t, ids[p.ID], where)
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					assert.Emptyf(t, taken[[2]int{x, y}], "%s lies on %s", where, taken[[2]int{x, y}])
					taken[[2]int{x, y}] = p.Title
				}
			}
			assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, where)
			if p.Type == "row" {
				continue
			}
			assert.NotEmpty(t, p.Description, where)
			assert.NotEmpty(t, p.Targets, where)
			for _, target := range p.Targets {
				judge(t, known, where, variables.Replace(target.Expr))
			}
		}
	}
}
