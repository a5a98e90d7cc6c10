// Package web holds the dashboard: its source, its build in dist, and the
// handler that serves that build from the binary.
//
// A clone in which the dashboard was never built compiles too; the handler then
// says so on the page, with what to do.
package web

import (
	"embed"
	"io/fs"
)

// dist holds .gitkeep alone until `make build` fills it.
//
//go:embed all:dist
var dist embed.FS

// FS returns the built dashboard, index.html at its top.
func FS() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		// "dist" is a valid path and is embedded above.
		panic(err)
	}
	return sub
}

// Built reports whether the dashboard was built before this binary was.
func Built() bool {
	return built(FS())
}

func built(files fs.FS) bool {
	info, err := fs.Stat(files, indexName)
	return err == nil && info.Mode().IsRegular()
}
