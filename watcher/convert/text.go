package convert

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/types"
)

// Bounds of strings in bytes, those of the schema.
const (
	maxNamespace = 63
	maxName      = 253
	maxUID       = 128
	maxContainer = 63
	maxReason    = 128
	maxImage     = 512
	maxLabel     = 256
	maxKind      = 63
	maxVersion   = 64
	maxPhase     = 32
	maxRevision  = 256
	maxCondition = 512
	maxTaintKey  = 317 // a prefix of 253, a slash, a name of 63
	maxEvidence  = 512
	maxVerdict   = 2048
	maxCause     = 400 // as much as a sentence quotes
)

// Text makes s fit for a message: valid UTF-8, no control or invisible
// formatting characters (a cluster's strings reach terminals and logs), at most
// limit bytes, cut at a character.
func Text(s string, limit int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.ContainsFunc(s, hostile) {
		s = strings.Map(func(r rune) rune {
			if hostile(r) {
				return ' '
			}
			return r
		}, s)
	}
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.Clone(s[:cut]) // A part would hold the whole in memory.
}

// ends is Text that loses the middle of what is too long, where errors that wrap
// each other have the cause last.
func ends(s string, limit int) string {
	const gap = " … "
	s = Text(s, math.MaxInt)
	if len(s) <= limit {
		return s
	}
	head := Text(s, limit/3)
	from := len(s) - (limit - len(head) - len(gap))
	for !utf8.RuneStart(s[from]) {
		from++
	}
	return head + gap + s[from:]
}

// hostile characters can move a cursor, hide or reorder text.
func hostile(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// name checks an identifier, which is never repaired: two objects must not
// become one.
func name(what, s string, limit int) error {
	if s == "" {
		return fmt.Errorf("%s is empty", what)
	}
	if len(s) > limit {
		return fmt.Errorf("%s is %d bytes long, at most %d are allowed", what, len(s), limit)
	}
	return printable(what, s)
}

func printable(what, s string) error {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("%s %q has a character that is not allowed", what, s)
		}
	}
	return nil
}

// identity checks what every object must have. The error names the object as
// far as it can be named.
func identity(kind, namespace, objectName string, uid types.UID, namespaced bool) error {
	err := name("name", objectName, maxName)
	if err == nil && namespaced {
		err = name("namespace", namespace, maxNamespace)
	}
	if err == nil {
		err = name("uid", string(uid), maxUID)
	}
	if err == nil {
		return nil
	}
	label := objectName
	if namespace != "" {
		label = namespace + "/" + objectName
	}
	return fmt.Errorf("%s %q: %w", kind, Text(label, maxName), err)
}

// internLimit bounds one generation of the table of shared strings. Two are
// held, so 32,768 strings at most; with images at 512 bytes that is 16 MiB in
// the worst case and well below 1 MiB in a real cluster.
const internLimit = 16384

// interner shares equal strings: namespaces, nodes, images, reasons. Old
// strings leave with their generation, so that the table is bounded whatever
// the cluster does.
type interner struct {
	mu       sync.Mutex
	young    map[string]string
	previous map[string]string
}

func newInterner() *interner {
	return &interner{young: make(map[string]string)}
}

// of returns s or an equal string that is shared already.
func (in *interner) of(s string) string {
	if s == "" {
		return ""
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if shared, ok := in.young[s]; ok {
		return shared
	}
	shared, ok := in.previous[s]
	if !ok {
		// Cloned, so that a substring never holds a larger one in memory.
		shared = strings.Clone(s)
	}
	if len(in.young) >= internLimit {
		in.previous = in.young
		in.young = make(map[string]string)
	}
	in.young[shared] = shared
	return shared
}
