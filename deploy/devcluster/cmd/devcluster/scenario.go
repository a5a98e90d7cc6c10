package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/rightsizer/rightsizer/deploy/devcluster"
)

func scenarioCommand(s *settings) *cobra.Command {
	var namespace string
	var remove bool
	cmd := &cobra.Command{
		Use:   "scenario [NAME]",
		Short: "Apply workloads that misbehave, or list them",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listScenarios(cmd)
			}
			state, err := devcluster.ReadState("", s.name)
			if err != nil {
				return err
			}
			config, err := clientcmd.BuildConfigFromFlags("", state.Kubeconfig)
			if err != nil {
				return fmt.Errorf("read the cluster's kubeconfig: %w", err)
			}
			if remove {
				return devcluster.RemoveScenario(cmd.Context(), config, args[0], namespace)
			}
			return devcluster.ApplyScenario(cmd.Context(), config, args[0], namespace)
		},
	}
	cmd.Flags().StringVar(&namespace, "namespace", "", "where it goes (default: a namespace of its own, sim-NAME)")
	cmd.Flags().BoolVar(&remove, "remove", false, "take the scenario away instead")
	return cmd
}

func listScenarios(cmd *cobra.Command) error {
	all, err := devcluster.Scenarios()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, s := range all {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", s.Name, s.Description)
	}
	return w.Flush()
}
