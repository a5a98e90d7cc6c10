package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/rightsizer/rightsizer/server/codec"
	"github.com/rightsizer/rightsizer/server/text"
)

// checkForm refuses an -o that there is not.
func checkForm(form string) error {
	switch form {
	case "table", "json", "yaml":
		return nil
	default:
		return fmt.Errorf("--output: wants table, json or yaml, not %s", codec.Quote(form))
	}
}

// addForm adds -o.
func addForm(cmd *cobra.Command, form *string) {
	cmd.Flags().StringVarP(form, "output", "o", "table", "form of the output: table, json or yaml")
	completeValues(cmd, "output", "table", "json", "yaml")
}

// writeValue writes what has no message of its own, as one line of JSON or as YAML.
func writeValue(w io.Writer, form string, value any) error {
	line, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	document := text.EscapeJSON(string(line)) + "\n"
	if form == "yaml" {
		if document, err = asYAML(line); err != nil {
			return err
		}
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
		document := text.EscapeJSON(string(line)) + "\n"
		if form == "yaml" {
			if document, err = asYAML(line); err != nil {
				return err
			}
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
