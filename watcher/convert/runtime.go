package convert

import (
	"math"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// javaOptions are the variables that JVMs, and the scripts that start them, read
// options from.
var javaOptions = []string{"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "JAVA_OPTS"}

// maxOptions bounds the text of one value that is looked through.
const maxOptions = 16 << 10

// runtimeOf reads the memory settings of a program, and keeps nothing else of what
// it looks at: values of the environment may be secrets. Values that come from
// elsewhere (valueFrom) are not seen. nil where none is set.
func runtimeOf(c *corev1.Container) *object.Runtime {
	var r object.Runtime
	for i := range c.Env {
		e := &c.Env[i]
		switch {
		case e.Name == "GOMEMLIMIT":
			r.GoMemLimitBytes = goMemLimit(e.Value)
		case slices.Contains(javaOptions, e.Name):
			javaFlags(&r, e.Value)
		}
	}
	// The command line comes after the variables, and the last flag holds.
	for _, text := range [][]string{c.Command, c.Args} {
		for _, arg := range text {
			javaFlags(&r, arg)
		}
	}
	if r == (object.Runtime{}) {
		return nil
	}
	return &r
}

// javaFlags finds -Xmx and -XX:MaxRAMPercentage in a text of options.
func javaFlags(r *object.Runtime, text string) {
	if len(text) > maxOptions || !strings.Contains(text, "-X") {
		return
	}
	for option := range strings.FieldsSeq(text) {
		option = strings.Trim(option, `"'`)
		if v, ok := strings.CutPrefix(option, "-Xmx"); ok {
			if n, ok := javaSize(v); ok {
				r.JVMHeapBytes = n
			}
		}
		if v, ok := strings.CutPrefix(option, "-XX:MaxRAMPercentage="); ok {
			if p, err := strconv.ParseFloat(v, 64); err == nil && p > 0 && p <= 100 {
				r.JVMRAMPercent = p
			}
		}
	}
}

// javaSize reads 512m, 2g, 1048576: powers of 1,024.
func javaSize(text string) (int64, bool) {
	if text == "" {
		return 0, false
	}
	shift := map[byte]uint{'k': 10, 'm': 20, 'g': 30, 't': 40}[text[len(text)-1]|0x20]
	if shift > 0 {
		text = text[:len(text)-1]
	}
	return scaled(text, shift)
}

// goMemLimit reads what the Go runtime takes: a number, or one with B, KiB, MiB,
// GiB or TiB; 0 for off and for what it does not take.
func goMemLimit(text string) int64 {
	shift := uint(0)
	for _, unit := range []struct {
		name  string
		shift uint
	}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}} {
		if digits, ok := strings.CutSuffix(text, unit.name); ok {
			text, shift = digits, unit.shift
			break
		}
	}
	n, _ := scaled(text, shift)
	return n
}

func scaled(digits string, shift uint) (int64, bool) {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64>>shift {
		return 0, false
	}
	return n << shift, true
}

// restarts says of which resources a change restarts the container.
func restarts(c *corev1.Container) (cpu, memory bool) {
	for i := range c.ResizePolicy {
		p := &c.ResizePolicy[i]
		if p.RestartPolicy != corev1.RestartContainer {
			continue
		}
		cpu = cpu || p.ResourceName == corev1.ResourceCPU
		memory = memory || p.ResourceName == corev1.ResourceMemory
	}
	return cpu, memory
}
