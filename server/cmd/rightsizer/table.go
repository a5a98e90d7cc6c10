package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/text"
)

// checkForm refuses an -o that there is not; also are forms that a command has
// besides.
func checkForm(form string, also ...string) error {
	if slices.Contains(forms(also), form) {
		return nil
	}
	return fmt.Errorf("--output: wants %s, not %s", eitherOf(forms(also)), codec.Quote(form))
}

func forms(also []string) []string { return append([]string{"table", "json", "yaml"}, also...) }

// eitherOf is a list of choices as a sentence has it.
func eitherOf(list []string) string {
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " or " + list[last]
}

// addForm adds -o.
func addForm(cmd *cobra.Command, form *string, also ...string) {
	cmd.Flags().StringVarP(form, "output", "o", "table", "form of the output: "+eitherOf(forms(also)))
	completeValues(cmd, "output", forms(also)...)
}

// documentOf is JSON as what a terminal may show: one line of it, or YAML.
func documentOf(line []byte, form string) (string, error) {
	if form == "yaml" {
		return asYAML(line)
	}
	return text.EscapeJSON(string(line)) + "\n", nil
}

// writeValue writes what has no message of its own.
func writeValue(w io.Writer, form string, value any) error {
	line, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	document, err := documentOf(line, form)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, document)
	return err //nolint:wrapcheck // nothing to add
}

// writeMessages writes each message as a line of JSON or a YAML document.
func writeMessages[M proto.Message](w io.Writer, form string, messages ...M) error {
	out := bufio.NewWriter(w)
	for _, m := range messages {
		line, err := codec.MarshalJSONShortSeverity(m)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		document, err := documentOf(line, form)
		if err != nil {
			return err
		}
		if form == "yaml" {
			document = "---\n" + document
		}
		_, _ = out.WriteString(document) // the writer keeps the first error for Flush
	}
	return out.Flush() //nolint:wrapcheck // nothing to add
}

// writeTable writes rows in aligned columns, escaped; the last is as wide as it
// is. Nothing is written for no rows.
func writeTable(w io.Writer, columns []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	widths := make([]int, len(columns))
	for i, name := range columns {
		widths[i] = len(name)
	}
	for _, row := range rows {
		for i := range row {
			if row[i] = text.Escape(row[i]); row[i] == "" {
				row[i] = "-"
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	out := bufio.NewWriter(w)
	for _, row := range append([][]string{columns}, rows...) {
		for i, cell := range row {
			if i < len(row)-1 {
				cell += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			}
			_, _ = out.WriteString(cell)
		}
		_ = out.WriteByte('\n')
	}
	return out.Flush() //nolint:wrapcheck // nothing to add
}
