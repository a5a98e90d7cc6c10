// Package manifests makes what is installed out of the chart in deploy/helm:
// deploy/install.yaml and the generated files of deploy/kustomize, and the table of
// values in the chart's README. CRDs and admission policies come into the chart from
// deploy/crd and deploy/admission, which are their one source.
//
// It is a module of its own, for Helm is its dependency and not the operator's. Its
// tests render the chart by Helm 3 and 4, hold kustomize to it, check every object
// against the OpenAPI of a real API server, and install, upgrade and remove it there.
package manifests
