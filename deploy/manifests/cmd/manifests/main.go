// Command manifests writes what is generated from the chart, or says what is stale.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/rightsizer/rightsizer/deploy/manifests"
)

func main() {
	if len(os.Args) != 3 || os.Args[1] != "generate" && os.Args[1] != "check" {
		fmt.Fprintln(os.Stderr, "usage: manifests generate|check ROOT")
		os.Exit(2)
	}
	if err := run(os.Args[1] == "check", os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}

func run(check bool, root string) error {
	if !check {
		copies, err := manifests.Copies(root)
		if err != nil {
			return err
		}
		if err := manifests.Write(root, copies); err != nil {
			return err
		}
	}
	files, err := manifests.Generate(root)
	if err != nil {
		return err
	}
	if !check {
		return manifests.Write(root, files)
	}
	if stale := manifests.Stale(root, files); len(stale) > 0 {
		return fmt.Errorf("stale: %s: run 'make generate' and commit it", strings.Join(stale, ", "))
	}
	return nil
}
