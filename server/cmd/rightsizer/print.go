package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	rightsizerv1 "github.com/rightsizer/rightsizer/gen/go/rightsizer/v1"
	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/text"
)

// printer writes messages in one of the forms of -o.
type printer struct {
	form   string
	out    *bufio.Writer
	colour bool
	follow bool // each message is written at once

	widths []int
	rows   [][]string // held back until all are known, unless following
	headed bool
}

var columns = []string{"TIME", "SEVERITY", "TYPE", "NAMESPACE", "OBJECT", "CONTAINER", "MESSAGE"}

// streamWidths are the widths a followed table begins with: what comes later
// cannot be known.
var streamWidths = []int{19, 8, 16, 12, 28, 10, 0}

func newPrinter(form string, w io.Writer, follow bool) (*printer, error) {
	switch form {
	case "table", "json", "yaml":
	default:
		return nil, fmt.Errorf("--output: wants table, json or yaml, not %s", codec.Quote(form))
	}
	p := &printer{form: form, out: bufio.NewWriter(w), colour: wantsColour(w), follow: follow, widths: make([]int, len(columns))}
	if follow {
		copy(p.widths, streamWidths)
	}
	for i, name := range columns {
		p.widths[i] = max(p.widths[i], len(name))
	}
	return p, nil
}

func (p *printer) print(message *rightsizerv1.StreamEventsResponse) error {
	var err error
	switch p.form {
	case "json":
		err = p.json(message)
	case "yaml":
		err = p.yaml(message)
	default:
		if event := message.GetEvent(); event != nil {
			p.row(event)
		}
	}
	if err != nil || !p.follow {
		return err
	}
	return p.flush()
}

func (p *printer) json(message *rightsizerv1.StreamEventsResponse) error {
	line, err := codec.MarshalJSONShortSeverity(message)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	_, err = p.out.WriteString(text.EscapeJSON(string(line)) + "\n")
	return err //nolint:wrapcheck // nothing to add
}

func (p *printer) yaml(message *rightsizerv1.StreamEventsResponse) error {
	line, err := codec.MarshalJSONShortSeverity(message)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	document, err := asYAML(line)
	if err != nil {
		return err
	}
	_, err = p.out.WriteString("---\n" + document)
	return err //nolint:wrapcheck // nothing to add
}

// row takes an event into the table.
func (p *printer) row(event *rightsizerv1.Event) {
	object := event.GetObject().GetKind() + "/" + event.GetObject().GetName()
	if w := event.GetWorkload(); w != nil {
		object = w.GetKind() + "/" + w.GetName()
	}
	message := event.GetMessage()
	if event.GetPhase() == rightsizerv1.Phase_PHASE_RESOLVED {
		message = "resolved: " + message
	}
	row := []string{
		event.GetOccurredTime().AsTime().Local().Format(time.DateTime), codec.ShortSeverity(event.GetSeverity()), event.GetType(),
		event.GetNamespace(), object, event.GetContainer(), message,
	}
	for i := range row {
		if row[i] = text.Escape(row[i]); row[i] == "" {
			row[i] = "-"
		}
		p.widths[i] = max(p.widths[i], utf8.RuneCountInString(row[i]))
	}
	p.rows = append(p.rows, row)
}

// flush writes what is held back.
func (p *printer) flush() error {
	if p.form == "table" && !p.headed && len(p.rows) > 0 {
		p.headed = true
		p.line(columns, "")
	}
	for _, row := range p.rows {
		p.line(row, p.colourOf(row[1]))
	}
	p.rows = p.rows[:0]
	return p.out.Flush() //nolint:wrapcheck // nothing to add
}

// line writes one row; the writer keeps the first error for flush.
func (p *printer) line(row []string, colour string) {
	for i, cell := range row {
		if i == len(row)-1 {
			_, _ = p.out.WriteString(cell + "\n")
			return
		}
		pad := strings.Repeat(" ", p.widths[i]-utf8.RuneCountInString(cell)+2)
		if i == 1 && colour != "" {
			cell = colour + cell + "\x1b[0m"
		}
		_, _ = p.out.WriteString(cell + pad)
	}
}

func (p *printer) colourOf(severity string) string {
	if !p.colour {
		return ""
	}
	switch severity {
	case "critical":
		return "\x1b[1;31m"
	case "error":
		return "\x1b[31m"
	case "warning":
		return "\x1b[33m"
	default:
		return "\x1b[36m"
	}
}

// asYAML is JSON as YAML. Where a string has a hostile character, which YAML
// writers leave as it is, it is the JSON itself, escaped: that is YAML as well.
func asYAML(line []byte) (string, error) {
	if escaped := text.EscapeJSON(string(line)); escaped != string(line) {
		return escaped + "\n", nil
	}
	document, err := yaml.JSONToYAML(line)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	return string(document), nil
}
