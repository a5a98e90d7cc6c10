package convert

import (
	"math"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/rightsizer/rightsizer/watcher/object"
)

// The variables that JVMs, and the scripts that start them, read options from. A JVM
// takes JAVA_TOOL_OPTIONS, then the command line, which JDK_JAVA_OPTIONS and JAVA_OPTS
// come in front of, then _JAVA_OPTIONS; the last flag holds.
var (
	javaBefore = []string{"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "JAVA_OPTS"}
	javaAfter  = []string{"_JAVA_OPTIONS"}
)

// maxOptions bounds the text of one value that is looked through.
const maxOptions = 16 << 10

// runtimeOf reads the memory settings of a program, and keeps nothing else of what
// it looks at: values of the environment may be secrets. Values that come from
// elsewhere (valueFrom) are not seen. nil where none is set.
func runtimeOf(c *corev1.Container) *object.Runtime {
	var r object.Runtime
	r.GoMemLimitBytes = goMemLimit(variable(c, "GOMEMLIMIT"))
	for _, name := range javaBefore {
		javaFlags(&r, variable(c, name))
	}
	for _, text := range [][]string{c.Command, c.Args} {
		for _, arg := range text {
			javaFlags(&r, arg)
		}
	}
	for _, name := range javaAfter {
		javaFlags(&r, variable(c, name))
	}
	if r == (object.Runtime{}) {
		return nil
	}
	return &r
}

// variable of a container; of several of a name the last holds.
func variable(c *corev1.Container, name string) string {
	for _, e := range slices.Backward(c.Env) {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
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
