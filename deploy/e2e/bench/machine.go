package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine is the date and what the figures were taken on, for the reader.
func machine() string {
	return fmt.Sprintf("%s, %d cores (%s), load average %s, %s",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), processor(), load(), runtime.Version())
}

// processor is its name, as the kernel has it.
func processor() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(raw)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// load is the average over one minute.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(raw), " ")
	return first
}
