package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/rightsizer/rightsizer/server/config"
	"github.com/rightsizer/rightsizer/server/text"
)

func newConfig() *cobra.Command {
	parent := &cobra.Command{
		Use: "config", Short: "Check or print the configuration of the operator",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("config wants a verb: check or print")}
		},
	}
	parent.AddCommand(newConfigCheck(), newConfigPrint())
	return parent
}

func newConfigCheck() *cobra.Command {
	var form string
	cmd := &cobra.Command{
		Use: "check", Short: "Say everything that is wrong with the configuration", Args: noArgs,
		Long: "Say everything that is wrong with the configuration that the same flags, environment and file would give the\n" +
			"operator. The exit code is 2 where something is.",
		Example: "  rightsizer config check --config=rightsizer.yaml\n  rightsizer config check --config=rightsizer.yaml -o json",
	}
	flags := config.AddFlags(cmd.Flags())
	addForm(cmd, &form)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkForm(form); err != nil {
			return usageError{err}
		}
		loaded, err := load(input(flags, os.DirFS("/")))
		if form != "table" {
			return errors.Join(writeValue(cmd.OutOrStdout(), form, newVerdict(loaded, err)), err)
		}
		for _, warning := range loaded.Warnings {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "rightsizer: warning: "+text.Escape(warning))
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "the configuration is good")
		return err //nolint:wrapcheck // nothing to add
	}
	return cmd
}

// verdict is what programs read of a check.
type verdict struct {
	Valid    bool      `json:"valid"`
	Problems []problem `json:"problems"`
	Warnings []string  `json:"warnings"`
}

type problem struct {
	Key   string `json:"key"`
	Place string `json:"place"`
	Value string `json:"value,omitempty"`
	Want  string `json:"want"`
}

func newVerdict(loaded config.Result, err error) verdict {
	v := verdict{Valid: err == nil, Problems: []problem{}, Warnings: append([]string{}, loaded.Warnings...)}
	for _, p := range config.Problems(err) {
		v.Problems = append(v.Problems, problem(p))
	}
	return v
}

func newConfigPrint() *cobra.Command {
	var form string
	cmd := &cobra.Command{
		Use: "print", Short: "Print the configuration in force as a file, with the place of each value", Args: noArgs,
		Example: "  rightsizer config print --config=rightsizer.yaml > all.yaml\n  rightsizer config print -o table",
	}
	flags := config.AddFlags(cmd.Flags())
	addForm(cmd, &form)
	cmd.Flags().Lookup("output").DefValue, form = "yaml", "yaml"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkForm(form); err != nil {
			return usageError{err}
		}
		loaded, err := load(input(flags, os.DirFS("/")))
		if err != nil {
			return err
		}
		return printConfig(cmd.OutOrStdout(), form, loaded)
	}
	return cmd
}

// printConfig writes the settings; as YAML they are a file that --config reads.
func printConfig(w io.Writer, form string, loaded config.Result) error {
	values := config.Values(loaded)
	switch form {
	case "json":
		return writeValue(w, form, values)
	case "table":
		rows := make([][]string, len(values))
		for i, v := range values {
			rows[i] = []string{v.Key, v.Value, v.Place}
		}
		return writeTable(w, []string{"KEY", "VALUE", "FROM"}, rows)
	}
	return config.Print(w, loaded)
}
